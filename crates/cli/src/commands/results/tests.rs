use super::*;

const ID: &str = "019aa2c4-0000-7000-8000-0000008f3a21";

fn of_bytes(bytes: &'static [u8]) -> Result<String, NoLine> {
    line(ID, "succeeded", &Some(Payload::of(Bytes::from_static(bytes))), &None)
}

fn error(message: &str) -> ErrorView {
    serde_json::from_value(serde_json::json!({ "code": "handler", "message": message }))
        .expect("an error")
}

#[test]
fn result_of_one_line_is_printed_as_it_is() {
    for (bytes, expected) in [
        (&b"a"[..], "a"),
        (b"", ""),
        (b"a\n", "a"),
        (b"\n", ""),
        (b" a\tb\r", " a\tb\r"),
        ("größe \u{1b}[0m \0".as_bytes(), "größe \u{1b}[0m \0"),
    ] {
        assert_eq!(of_bytes(bytes).as_deref(), Ok(expected), "{bytes:?}");
    }
}

#[test]
fn result_that_fits_no_line_names_its_task() {
    for (bytes, why) in [
        (&b"a\nb"[..], "contains a line feed"),
        (b"a\n\n", "contains a line feed"),
        (b"\n\n", "contains a line feed"),
        (b"\xff", "is not UTF-8"),
        (b"\xff\n\xff", "is not UTF-8"),
    ] {
        let no_line = of_bytes(bytes).expect_err("no line");
        let expected =
            format!("the result of task 8f3a21 {why}; print it: meshwork task result 8f3a21");
        assert_eq!(no_line, NoLine { why: expected, has_result: true }, "{bytes:?}");
    }
}

/// Base64 is only the encoding of bytes in JSON; the bytes may be text.
#[test]
fn text_that_travels_in_base64_is_printed() {
    let output = Some(Payload::Base64(Bytes::from_static(b"\x01\x02")));
    assert_eq!(line(ID, "succeeded", &output, &None).as_deref(), Ok("\u{1}\u{2}"));
}

#[test]
fn task_without_a_result_says_why_in_one_line() {
    let failed = line(ID, "failed", &None, &Some(error("no\nluck"))).expect_err("no line");
    assert_eq!((failed.why.as_str(), failed.has_result), ("task 8f3a21 failed: no luck", false));
    let gone = line(ID, "forgotten", &None, &None).expect_err("no line");
    assert!(gone.why.contains("is no longer kept"), "{gone:?}");
}

/// The group counts failed members already; a damaged record is neither a failure nor a success.
#[test]
fn member_without_result_is_lost_unless_it_failed() {
    let member = |state: &str, output: Option<&'static [u8]>, why: Option<&str>| MemberResult {
        index: 0,
        id: ID.to_owned(),
        state: state.into(),
        output: output.map(|bytes| Payload::of(Bytes::from_static(bytes))),
        error: why.map(error),
    };
    for state in ["failed", "cancelled", "expired"] {
        assert!(!is_lost(&member(state, None, Some("why"))), "{state}");
    }
    for state in ["damaged", "forgotten"] {
        assert!(is_lost(&member(state, None, Some("why"))), "{state}");
    }
    assert!(is_lost(&member("succeeded", None, None)));
    assert!(!is_lost(&member("succeeded", Some(b""), None)));
}
