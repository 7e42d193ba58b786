use std::time::Duration;

use super::*;

#[test]
fn a_proof_is_told_although_a_word_was() {
    let (mut copies, start) = (Copies::default(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(copies.tells_own(false, at(0)));
    assert!(!copies.tells_own(false, at(10)));
    assert!(copies.tells_own(true, at(20)));
    assert!(!copies.tells_own(true, at(30)));
    assert!(!copies.tells_own(false, at(3_600)));
    assert!(copies.tells_own(false, at(3_620)));
}

#[test]
fn many_keys_of_strangers_do_not_fill_the_log() {
    let (mut copies, start) = (Copies::default(), Instant::now());
    let told = (0..1_000).filter(|_| copies.tells_stranger(start)).count();
    assert_eq!(told, limits::COPIES_TOLD);
    assert!(copies.tells_stranger(start + limits::COPIED_TIME));
}
