//! What `status` says that somebody should look at.

use super::*;

#[test]
fn results_about_to_be_forgotten_unread_are_named_with_what_to_do() {
    assert_eq!(unread_due(0), None);
    let one = unread_due(1).unwrap();
    assert!(one.starts_with("1 result that nobody was given is about to be forgotten: "), "{one}");
    let many = unread_due(13).unwrap();
    assert!(many.starts_with("13 results that nobody was given are about to be"), "{many}");
    assert!(many.contains("--keep-results-max"), "{many}");
}
