//! Searches in the published state.

use std::collections::BTreeSet;

use meshwork_core::{Advert, Stuck};

use super::*;

fn status(state: PeerState, latency: Option<u64>, capability: &str) -> PeerStatus {
    let advert = Advert { capabilities: [capability.to_owned()].into(), ..Advert::default() };
    PeerStatus {
        state,
        latency: latency.map(Duration::from_millis),
        advert: Some(advert),
        ..by_hearsay(PeerId::random(), Arc::new(LastSeen::new(Clock::new())))
    }
}

fn table(mut statuses: Vec<PeerStatus>) -> Vec<PeerStatus> {
    statuses.sort_by_key(|status| status.peer);
    statuses
}

fn ids<'a>(found: impl IntoIterator<Item = &'a PeerStatus>) -> Vec<PeerId> {
    found.into_iter().map(|status| status.peer).collect()
}

#[tokio::test]
async fn ready_peers_come_first_by_latency_and_leads_last() {
    let slow = status(PeerState::Ready, Some(80), "gpu");
    let fast = status(PeerState::Ready, Some(2), "gpu");
    let unmeasured = status(PeerState::Ready, None, "gpu");
    let stuck = status(PeerState::Connected(Stuck::NoHello), Some(1), "gpu");
    let other = status(PeerState::Ready, Some(1), "disk");
    let lead = status(PeerState::Disconnected(None), None, "gpu");
    let expected = ids([&fast, &slow, &unmeasured, &stuck, &lead]);
    let peers = table(vec![slow, fast, unmeasured, stuck, other]);
    let query = PeerQuery { capability: Some("gpu".to_owned()), ..PeerQuery::default() };
    assert_eq!(ids(&best(&query, &peers, std::slice::from_ref(&lead))), expected);
    let first = PeerQuery { limit: 2, ..query };
    assert_eq!(ids(&best(&first, &peers, &[lead])), expected[..2]);
}

#[tokio::test]
async fn lead_replaces_the_status_of_a_disconnected_peer() {
    let known = status(PeerState::Disconnected(None), None, "old");
    let lead = PeerStatus {
        peer: known.peer,
        ..status(PeerState::Disconnected(Some("by hearsay".to_owned())), None, "new")
    };
    let (peers, leads) = ([known], [lead]);
    let found = best(&PeerQuery::default(), &peers, &leads);
    let capabilities = found.iter().map(|s| s.advert.clone().unwrap().capabilities);
    assert_eq!(capabilities.collect::<Vec<_>>(), [BTreeSet::from(["new".to_owned()])]);
    // A connection counts more than a lead.
    let ready = [PeerStatus { state: PeerState::Ready, ..peers[0].clone() }];
    assert_eq!(best(&PeerQuery::default(), &ready, &leads)[0].state, PeerState::Ready);
}

#[tokio::test]
async fn providers_count_only_for_a_bare_capability_query() {
    let query = PeerQuery { capability: Some("gpu".to_owned()), ..PeerQuery::default() };
    let named = PeerId::random();
    let known = status(PeerState::Ready, None, "disk");
    let providers = vec![named, known.peer];
    let answered = Answered { query: query.clone(), at: Instant::now(), providers };
    let peers = [known];
    let mut found = Vec::new();
    add_providers(&mut found, &query, &answered, &peers);
    assert_eq!(ids(&found), [named], "the other's own advert names another capability");
    let more = PeerQuery { free_cpus: 1.0, ..query };
    let mut found = Vec::new();
    add_providers(&mut found, &more, &answered, &peers);
    assert!(found.is_empty());
}

#[tokio::test(start_paused = true)]
async fn search_result_expires() {
    let query = PeerQuery::default();
    let answered = Answered { query: query.clone(), at: Instant::now(), providers: Vec::new() };
    let hearsay = Hearsay { answered: [Arc::new(answered)].into(), ..Hearsay::default() };
    assert!(hearsay.answered(&query).is_some());
    assert!(hearsay.answered(&PeerQuery { limit: 1, ..query.clone() }).is_none());
    tokio::time::advance(limits::SEARCH_TTL).await;
    assert!(hearsay.answered(&query).is_none());
}
