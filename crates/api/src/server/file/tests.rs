use super::*;

#[test]
fn a_range_is_cut_to_the_blob() {
    let cases = [
        ("bytes=0-9", Some(0..10)),
        ("bytes=5-", Some(5..10)),
        ("bytes=5-1000", Some(5..10)),
        ("bytes=9-9", Some(9..10)),
        ("bytes=-3", Some(7..10)),
        ("bytes=-100", Some(0..10)),
        // Nothing is in it.
        ("bytes=10-", Some(10..10)),
        ("bytes=-0", Some(10..10)),
        ("bytes=99999999999999999999999-", Some(10..10)),
        // Not a range, or more than one: the whole blob.
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("", None),
    ];
    for (text, range) in cases {
        assert_eq!(parse_range(text, 10), range, "{text}");
    }
    assert_eq!(parse_range("bytes=0-", 0), Some(0..0));
}

#[test]
fn headers_say_what_a_client_has_and_wants() {
    let hash = BlobHash::of(b"x");
    let wanted = |headers: &[(HeaderName, &str)]| {
        let text = |value: &str| value.replace("TAG", &tag(&hash));
        let headers = headers.iter();
        let headers = headers
            .map(|(name, value)| (name.clone(), text(value).parse::<HeaderValue>().unwrap()));
        Wanted::of(&headers.collect(), &hash, 10).map_err(Box::new)
    };
    assert_eq!(wanted(&[]), Ok(Wanted::All));
    assert_eq!(wanted(&[(header::IF_NONE_MATCH, "TAG")]), Ok(Wanted::Nothing));
    assert_eq!(wanted(&[(header::IF_NONE_MATCH, "\"a\", W/TAG")]), Ok(Wanted::Nothing));
    assert_eq!(wanted(&[(header::IF_NONE_MATCH, "\"a\"")]), Ok(Wanted::All));
    let range = (header::RANGE, "bytes=2-3");
    assert_eq!(wanted(std::slice::from_ref(&range)), Ok(Wanted::Part(2..4)));
    assert_eq!(wanted(&[range.clone(), (header::IF_RANGE, "TAG")]), Ok(Wanted::Part(2..4)));
    assert_eq!(wanted(&[range, (header::IF_RANGE, "\"a\"")]), Ok(Wanted::All));
    let refused = wanted(&[(header::RANGE, "bytes=10-")]).unwrap_err();
    assert_eq!((refused.status, refused.code), (416, ErrorCode::BadRange));
}
