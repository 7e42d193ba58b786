use std::io::Cursor;

use super::*;

fn all(
    items: impl Iterator<Item = Result<MemberSpec, Failure>>,
) -> Result<Vec<MemberSpec>, Failure> {
    items.collect()
}

fn lines(text: impl Into<Vec<u8>>) -> Lines {
    Lines::of(Box::new(Cursor::new(text.into())))
}

fn from_json(text: &str) -> Result<Vec<MemberSpec>, Failure> {
    elements::read(Box::new(Cursor::new(text.to_owned().into_bytes())))?.collect()
}

fn text(member: &MemberSpec) -> Option<&str> {
    match member.input.as_ref()? {
        Payload::Text(text) => Some(text),
        Payload::Base64(_) | Payload::Blob(_) => None,
    }
}

#[test]
fn each_line_is_a_member_with_or_without_its_end() {
    for file in ["one\ntwo\n\nfour", "one\r\ntwo\r\n\r\nfour\r\n", "one\ntwo\n\nfour\n"] {
        let members: Vec<MemberSpec> = lines(file).collect::<Result<_, _>>().unwrap();
        let texts: Vec<_> = members.iter().map(text).collect();
        assert_eq!(texts, [Some("one"), Some("two"), Some(""), Some("four")], "{file:?}");
    }
    assert!(lines("").next().is_none());
    let bytes = lines(b"\xff\xfe\n").next().unwrap().unwrap();
    assert_eq!(bytes.input, Some(Payload::Base64(b"\xff\xfe".to_vec().into())));
}

#[test]
fn byte_order_mark_is_no_part_of_the_first_member() {
    let marked = all(lines("\u{feff}one\n\u{feff}two")).unwrap();
    assert_eq!(marked.iter().map(text).collect::<Vec<_>>(), [Some("one"), Some("\u{feff}two")]);
    assert!(all(lines("\u{feff}")).unwrap().is_empty(), "a mark alone is an empty file");
    let longest = format!("\u{feff}{}\r\n", "x".repeat(INLINE_BYTES));
    assert_eq!(all(lines(longest)).unwrap().len(), 1);
    for json in ["\u{feff}[\"one\"]", "\u{feff}\"one\"", "\u{feff} {\"input\": \"one\"}"] {
        assert_eq!(text(&from_json(json).unwrap()[0]), Some("one"), "{json:?}");
    }
    for utf16 in [&b"\xff\xfeo\0n\0e\0\n\0"[..], b"\xfe\xff\0o\0n\0e\0\n"] {
        let failure = all(lines(utf16)).unwrap_err();
        assert!(failure.message.contains("UTF-16"), "{failure:?}");
        let items = elements::read(Box::new(Cursor::new(utf16.to_vec())));
        assert!(items.and_then(all).is_err());
    }
}

#[test]
fn too_long_line_is_named() {
    let longest = "x".repeat(INLINE_BYTES);
    assert!(lines(format!("a\n{longest}\r\nb")).all(|line| line.is_ok()));
    let read: Vec<_> = lines(format!("a\n{longest}x\nb")).collect();
    let [Ok(_), Err(failure)] = &read[..] else { panic!("{}", read.len()) };
    assert!(failure.message.contains("line 2"), "{failure:?}");
}

#[test]
fn json_is_an_array_or_one_element_after_the_other() {
    for file in [
        r#" ["one", {"input": "two", "params": {"n": "3"}}, {"input": {"base64": "/w=="}}, {}]"#,
        "\"one\"\n{\"input\":\"two\",\"params\":{\"n\":\"3\"}} {\"input\":{\"base64\":\"/w==\"}}\n{}",
    ] {
        let members = from_json(file).unwrap();
        assert_eq!(members.len(), 4, "{file}");
        assert_eq!((text(&members[0]), text(&members[1])), (Some("one"), Some("two")));
        assert_eq!(members[1].params["n"], "3");
        assert_eq!(members[2].input, Some(Payload::Base64(b"\xff".to_vec().into())));
        assert_eq!(members[3], MemberSpec::default());
    }
    assert!(from_json("").unwrap().is_empty());
    assert!(from_json("[]").unwrap().is_empty());
}

#[test]
fn invalid_element_is_named() {
    for (file, number) in [
        (r#"["one", 2]"#, 2),
        (r#"[{"input": 7}]"#, 1),
        (r#"["a", "b", {"inputs": "x"}]"#, 3),
        (r#"[{"params": {"n": 3}}]"#, 1),
        (r#""one" {"#, 2),
        (r#"{"input": {"base64": "!"}}"#, 1),
        (r#"["a", {"input": "b", "input": "c"}]"#, 2),
        (r#""a" {"input": "b", "input": "c"}"#, 2),
        (r#"[{"params": {"n": "1", "n": "2"}}]"#, 1),
        (r#"[{"input": {"text": "a", "text": "b"}}]"#, 1),
    ] {
        let failure = from_json(file).unwrap_err();
        let position = format!("element {number}");
        assert!(failure.message.contains(&position), "{file}: {failure:?}");
    }
    assert!(from_json("[\"a\",").unwrap_err().message.contains("EOF"), "no array at all");
    let big = format!("[\"{}\"]", "x".repeat(INLINE_BYTES + 1));
    assert!(from_json(&big).unwrap_err().message.contains("element 1"));
}
