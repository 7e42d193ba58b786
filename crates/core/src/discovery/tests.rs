//! Matching and validation of queries.

use super::*;
use crate::peer::PeerState;

fn advert() -> Advert {
    let mut advert = Advert::default();
    advert.capabilities.insert("gpu".to_owned());
    advert.labels.insert("site".to_owned(), "home".to_owned());
    advert.handlers.extend("text/upper".parse().ok());
    advert
}

fn usage() -> ResourceUsage {
    ResourceUsage {
        cpus: 8,
        cpu_used: 0.75,
        memory_bytes: 100,
        memory_free_bytes: 60,
        ..ResourceUsage::default()
    }
}

#[test]
fn query_matches_only_if_every_condition_holds() {
    let (advert, usage) = (advert(), usage());
    let id = |number: u8| PeerId::from_bytes(&[&[0x12, 0x20][..], &[number; 32]].concat()).unwrap();
    let peer = Candidate {
        peer: id(1),
        advert: Some(&advert),
        resources: Some(&usage),
        latency: Some(Duration::from_millis(3)),
        stage: PeerStage::Ready,
    };
    let any = PeerQuery::default();
    assert!(any.matches(&peer));
    let labels = |value: &str| BTreeMap::from([("site".to_owned(), value.to_owned())]);
    let cases = [
        (PeerQuery::capability("gpu"), PeerQuery::capability("tpu")),
        (
            PeerQuery::handler("text/upper".parse().unwrap()),
            PeerQuery::handler("text/lower".parse().unwrap()),
        ),
        (
            PeerQuery { labels: labels("home"), ..any.clone() },
            PeerQuery { labels: labels("work"), ..any.clone() },
        ),
        (PeerQuery { free_cpus: 2.0, ..any.clone() }, PeerQuery { free_cpus: 2.5, ..any.clone() }),
        (
            PeerQuery { free_memory_bytes: 60, ..any.clone() },
            PeerQuery { free_memory_bytes: 61, ..any.clone() },
        ),
        (
            PeerQuery { latency: Some(Duration::from_millis(3)), ..any.clone() },
            PeerQuery { latency: Some(Duration::from_millis(2)), ..any.clone() },
        ),
        (
            PeerQuery { state: Some(PeerStage::Ready), ..any.clone() },
            PeerQuery { state: Some(PeerStage::Connected), ..any.clone() },
        ),
        (PeerQuery::peer(id(1)), PeerQuery::peer(id(2))),
    ];
    let nothing = Candidate { peer: id(3), advert: None, resources: None, latency: None, ..peer };
    for (yes, no) in cases {
        assert!(yes.matches(&peer), "{yes:?}");
        assert!(!no.matches(&peer), "{no:?}");
        if yes.state.is_none() {
            assert!(!yes.matches(&nothing), "unknown values do not match: {yes:?}");
        }
    }
}

#[test]
fn queries_match_peer_info() {
    let mut info = PeerInfo::hint(PeerId::random(), Vec::new(), Default::default());
    assert!(PeerQuery::default().matches_info(&info));
    assert!(!PeerQuery::capability("gpu").matches_info(&info));
    info.advert = Some(advert());
    info.state = PeerState::Ready;
    let query = PeerQuery { state: Some(PeerStage::Ready), ..PeerQuery::capability("gpu") };
    assert!(query.matches_info(&info));
}

#[test]
fn absurd_queries_are_refused_by_field() {
    let any = PeerQuery::default();
    assert_eq!(any.check(), Ok(()));
    let many = (0..100).map(|nth| (nth.to_string(), nth.to_string())).collect();
    let cases = [
        ("limit", PeerQuery { limit: 0, ..any.clone() }),
        ("limit", PeerQuery { limit: usize::MAX, ..any.clone() }),
        ("free_cpus", PeerQuery { free_cpus: f32::NAN, ..any.clone() }),
        ("free_cpus", PeerQuery { free_cpus: -1.0, ..any.clone() }),
        ("free_cpus", PeerQuery { free_cpus: 1e9, ..any.clone() }),
        ("free_memory_bytes", PeerQuery { free_memory_bytes: u64::MAX, ..any.clone() }),
        ("labels", PeerQuery { labels: many, ..any.clone() }),
        ("capability", PeerQuery::capability("")),
        ("capability", PeerQuery::capability("x".repeat(1_000))),
        ("capability", PeerQuery::capability("\u{1b}[2J")),
    ];
    for (field, query) in cases {
        assert_eq!(query.check().map_err(|error| error.field), Err(field), "{query:?}");
    }
}
