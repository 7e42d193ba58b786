//! The budget of dials on others' word.

use super::*;

fn address(host: u8) -> Multiaddr {
    format!("/ip4/9.9.9.{host}/tcp/4101").parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_address_is_dialled_once_in_a_minute_whoever_names_it() {
    let mut mesh = Mesh::default();
    let start = Instant::now();
    assert!(mesh.may_dial(Some(&address(1)), PeerId::random(), start));
    for _ in 0..1_000 {
        assert!(!mesh.may_dial(Some(&address(1)), PeerId::random(), start));
    }
    assert!(mesh.may_dial(Some(&address(1)), PeerId::random(), start + limits::NAMED_DIAL_EVERY));
}

#[tokio::test(start_paused = true)]
async fn one_source_has_ten_dials_in_a_minute_and_the_table_is_bounded() {
    let mut mesh = Mesh::default();
    let (start, source) = (Instant::now(), PeerId::random());
    let allowed = (0..200).filter(|host| mesh.may_dial(Some(&address(*host)), source, start));
    assert_eq!(allowed.count(), limits::NAMED_DIALS);
    assert!(mesh.may_dial(Some(&address(250)), PeerId::random(), start));
    for _ in 0..100_000 {
        mesh.may_dial(None, PeerId::random(), start);
    }
    assert_eq!(mesh.named.len(), limits::NAMED_DIALS_KEPT);
}
