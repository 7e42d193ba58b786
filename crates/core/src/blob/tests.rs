use super::*;

#[test]
fn hash_is_read_as_it_is_written() {
    let hash = BlobHash::of(b"some bytes");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    assert_eq!(hash.short(), hash.to_string()[..10]);
    let json = serde_json::to_string(&hash).unwrap();
    assert_eq!(serde_json::from_str::<BlobHash>(&json).unwrap(), hash);
}

#[test]
fn malformed_hash_is_refused() {
    let good = BlobHash::of(b"").to_string();
    for bad in [
        String::new(),
        good[1..].to_owned(),
        format!("{good}0"),
        format!("+{}", &good[1..]),
        format!("g{}", &good[1..]),
        format!("é{}", &good[2..]),
    ] {
        assert_eq!(bad.parse::<BlobHash>(), Err(InvalidBlobHash), "{bad}");
    }
}
