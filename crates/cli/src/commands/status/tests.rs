//! Warnings of `status`.

use super::*;

#[test]
fn unread_results_about_to_be_forgotten_give_a_warning() {
    assert_eq!(unread_due(0), None);
    let one = unread_due(1).unwrap();
    assert!(one.starts_with("1 unread result is about to be forgotten: "), "{one}");
    let many = unread_due(13).unwrap();
    assert!(many.starts_with("13 unread results are about to be"), "{many}");
    assert!(many.contains("--keep-results-max"), "{many}");
}

#[test]
fn warning_of_a_copied_key_has_evidence_and_advice() {
    let peer = "12D3KooWJCQT3eecHtv32UaHQqyByMq4N5Q42C6DrcJH8SbADUxh";
    let address = Some("/ip4/10.0.0.2/tcp/4101".to_owned());
    let line = |how: &str, address: Option<String>, peer: Option<&str>| {
        let peer = peer.map(str::to_owned);
        own_key_copied(&KeyCopyView { how: how.into(), address, peer }, &[])
    };
    let advice = format!(": {COPIED_KEY_ADVICE}");
    let what = "another machine uses the key of this node";
    let cases = [
        (line("reached", address.clone(), None), format!("{what}: it answers at ")),
        (line("came", address, None), format!("{what}: it has dialled from ")),
        (line("said", None, Some(peer)), format!("{} says that {what}", format::short_peer(peer))),
    ];
    for (line, begin) in cases {
        assert!(line.starts_with(&begin) && line.ends_with(&advice), "{line}");
    }
}
