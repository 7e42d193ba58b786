use std::io::Cursor;

use super::*;

fn all(mut source: Source) -> Result<Vec<Chunk>, Failure> {
    let mut chunks = Vec::new();
    while let Some(chunk) = source.next_chunk()? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn members(chunks: Vec<Chunk>) -> Vec<MemberSpec> {
    let each = chunks.into_iter().map(|chunk| match chunk.members {
        BatchMembers::Items(items) => items,
        BatchMembers::Lines(_) | BatchMembers::Range(_) => panic!("no items"),
    });
    each.flatten().collect()
}

fn lines(text: impl Into<Vec<u8>>) -> Source {
    Source::of(Box::new(Lines::of(Box::new(Cursor::new(text.into())))))
}

fn from_json(text: &str) -> Result<Vec<MemberSpec>, Failure> {
    let items = elements::read(Box::new(Cursor::new(text.to_owned().into_bytes())))?;
    Ok(members(all(Source::of(items))?))
}

fn text(member: &MemberSpec) -> Option<&str> {
    match member.input.as_ref()? {
        Payload::Text(text) => Some(text),
        Payload::Base64(_) => None,
    }
}

#[test]
fn each_line_is_a_member_with_or_without_its_end() {
    for file in ["one\ntwo\n\nfour", "one\r\ntwo\r\n\r\nfour\r\n", "one\ntwo\n\nfour\n"] {
        let members = members(all(lines(file)).unwrap());
        let texts: Vec<_> = members.iter().map(text).collect();
        assert_eq!(texts, [Some("one"), Some("two"), Some(""), Some("four")], "{file:?}");
    }
    assert!(all(lines("")).unwrap().is_empty());
    let bytes = members(all(lines(b"\xff\xfe\n")).unwrap());
    assert_eq!(bytes[0].input, Some(Payload::Base64(b"\xff\xfe".to_vec().into())));
}

#[test]
fn byte_order_mark_is_no_part_of_the_first_member() {
    let marked = members(all(lines("\u{feff}one\n\u{feff}two")).unwrap());
    assert_eq!(marked.iter().map(text).collect::<Vec<_>>(), [Some("one"), Some("\u{feff}two")]);
    assert!(all(lines("\u{feff}")).unwrap().is_empty(), "a mark alone is an empty file");
    let longest = format!("\u{feff}{}\r\n", "x".repeat(INLINE_BYTES));
    assert_eq!(members(all(lines(longest)).unwrap()).len(), 1);
    for json in ["\u{feff}[\"one\"]", "\u{feff}\"one\"", "\u{feff} {\"input\": \"one\"}"] {
        assert_eq!(text(&from_json(json).unwrap()[0]), Some("one"), "{json:?}");
    }
    for utf16 in [&b"\xff\xfeo\0n\0e\0\n\0"[..], b"\xfe\xff\0o\0n\0e\0\n"] {
        let failure = all(lines(utf16)).unwrap_err();
        assert!(failure.message.contains("UTF-16"), "{failure:?}");
        let items = elements::read(Box::new(Cursor::new(utf16.to_vec())));
        assert!(items.and_then(|items| all(Source::of(items))).is_err());
    }
}

#[test]
fn a_line_that_no_task_carries_is_named() {
    let longest = "x".repeat(INLINE_BYTES);
    assert_eq!(members(all(lines(format!("a\n{longest}\r\nb"))).unwrap()).len(), 3);
    let failure = all(lines(format!("a\n{longest}x\nb"))).unwrap_err();
    assert!(failure.message.contains("line 2"), "{failure:?}");
    let mut source = lines(format!("a\n{longest}x"));
    let before = source.next_chunk().unwrap().unwrap();
    assert!(!before.last, "what comes before the error is not said to be all");
}

#[test]
fn chunks_are_as_large_as_a_request_carries_and_the_last_is_known() {
    let chunks = all(lines("x\n".repeat(limits::BATCH_TASKS * 2))).unwrap();
    let shape: Vec<_> = chunks.iter().map(|chunk| (chunk.members.len(), chunk.last)).collect();
    assert_eq!(shape, [(4_096, false), (4_096, true)]);
    let heavy = format!("{}\n", "x".repeat(400_000)).repeat(7);
    let chunks = all(lines(heavy)).unwrap();
    let shape: Vec<_> = chunks.iter().map(|chunk| (chunk.members.len(), chunk.last)).collect();
    assert_eq!(shape, [(3, false), (3, false), (1, true)]);
    let escaped = format!("{}\n", "\u{1}".repeat(400_000)).repeat(3);
    assert_eq!(all(lines(escaped.clone())).unwrap().len(), 3, "six bytes for each");
    let chunks = [chunks, all(lines(escaped)).unwrap()].concat();
    for chunk in chunks {
        assert!(
            serde_json::to_vec(&chunk.members).unwrap().len() < meshwork_api::limits::BODY_BYTES
        );
    }
    let range = RangeSpec { from: 5, to: 5 + 2 * 4_096, step: 2 };
    let chunks = all(Source::Range { range, place: 0 }).unwrap();
    let parts: Vec<_> = chunks
        .iter()
        .map(|chunk| match &chunk.members {
            BatchMembers::Range(part) => (part.from, part.to, chunk.last),
            BatchMembers::Lines(_) | BatchMembers::Items(_) => panic!("no range"),
        })
        .collect();
    assert_eq!(parts, [(5, 5 + 2 * 4_095, false), (5 + 2 * 4_096, 5 + 2 * 4_096, true)]);
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
fn an_element_that_is_wrong_is_named() {
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
        let said = format!("element {number}");
        assert!(failure.message.contains(&said), "{file}: {failure:?}");
    }
    assert!(from_json("[\"a\",").unwrap_err().message.contains("EOF"), "no array at all");
    let big = format!("[\"{}\"]", "x".repeat(INLINE_BYTES + 1));
    assert!(from_json(&big).unwrap_err().message.contains("element 1"));
}
