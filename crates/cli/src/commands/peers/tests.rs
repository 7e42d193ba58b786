//! Texts about a peer.

use std::collections::BTreeMap;

use meshwork::peer::{NetworkProtocol, TrafficBytes};
use meshwork_api::HealthView;

use super::*;

fn peer(now: DateTime<Utc>) -> PeerView {
    PeerView {
        peer_id: "12D3KooWJCQT3eecHtv32UaHQqyByMq4N5Q42C6DrcJH8SbADUxh".to_owned(),
        name: Some("bee".to_owned()),
        state: "ready".into(),
        why: None,
        given_name: None,
        trusted: true,
        blocked: false,
        key_copied: false,
        addresses: Vec::new(),
        protocols: Vec::new(),
        last_seen: now,
        latency_us: Some(400),
        reputation: 0,
        handlers: Vec::new(),
        capabilities: Vec::new(),
        labels: BTreeMap::new(),
        capacity: None,
        agent: None,
        resources: None,
        health: None,
        assigned: 2,
        held: 0,
        traffic: Default::default(),
    }
}

#[test]
fn every_known_field_of_a_peer_is_shown() {
    let now = meshwork_node::time_of_day();
    let usage = ResourceUsage {
        cpu_used: 0.25,
        memory_bytes: 8 << 30,
        memory_free_bytes: 6 << 30,
        slots_free: 3,
        measured_at: now,
        ..ResourceUsage::default()
    };
    let reasons = vec!["disk: 1 of 9 MiB are free\u{1b}[2J".to_owned()];
    let health = HealthView { status: "degraded".into(), reasons };
    let traffic = [
        (NetworkProtocol::TaskProtocol, TrafficBytes { sent: 3 << 20, received: 512 }),
        (NetworkProtocol::HealthProtocol, TrafficBytes { sent: 40, received: 41 }),
    ];
    let known = PeerView {
        resources: Some(usage),
        health: Some(health),
        reputation: -12,
        traffic: traffic.into(),
        ..peer(now)
    };
    let text = described(&known, now);
    for wanted in [
        "25 % of the CPUs",
        "6.0 GiB of 8.0 GiB memory",
        "3 slots free",
        "degraded",
        "disk: 1 of 9",
        "-12",
        "traffic     task: 3.0 MiB sent, 512 B received",
        "            health: 40 B sent",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let text = described(&peer(now), now);
    for unknown in ["uses", "health", "reputation"] {
        assert!(!text.contains(unknown), "{unknown}: {text}");
    }
}

#[test]
fn trust_names_allowed_tasks_in_each_direction() {
    let text = |trusted, accepts: &[&str], offers: Option<&[&str]>| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let answer = TrustAnswer {
            peer_id: String::new(),
            name: None,
            trusted,
            blocked: false,
            accepts: words(accepts),
            offers: offers.map(words),
        };
        consequence(&answer, "12D3KooWant")
    };
    for (output, expected) in [
        (
            text(true, &["text"], Some(&["text", "demo"])),
            "is trusted: its text tasks may run here, and text, demo tasks of this node may run there",
        ),
        (
            text(true, &["text"], Some(&[])),
            "is trusted: its text tasks may run here, and it accepts no tasks of this node yet; run \
             there: meshwork peers trust 12D3KooWant",
        ),
        (
            text(true, &[], None),
            "is trusted: its tasks do not run here, and this node connects to it when it is found; \
             then it reports whether it accepts tasks of this node",
        ),
        (
            text(false, &["text"], None),
            "is not trusted: its text tasks still run here (the policy accepts anyone), and tasks of \
             this node go there with --on only",
        ),
    ] {
        assert_eq!(output, expected);
    }
}
