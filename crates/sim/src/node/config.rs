//! The id and the default configuration of a node.

use std::time::Duration;

use meshwork_core::{Accept, AcceptPolicy, Advert, Durability, PeerId, Time, engine::EngineConfig};

use crate::{limits, scenario::Scenario};

/// Handlers that every node has.
pub(crate) const HANDLERS: [&str; 3] = ["a", "b", "c"];
/// The family of these handlers.
pub(crate) const FAMILY: &str = "sim";

/// The default configuration of a node: it has every handler, for all peers that it trusts. The
/// first node runs no attempts.
pub(super) fn config(index: usize, scenario: &Scenario) -> EngineConfig {
    let mut advert = Advert::default();
    let names = HANDLERS.iter().map(|name| format!("{FAMILY}/{name}"));
    advert.handlers.extend(names.filter_map(|name| name.parse().ok()));
    EngineConfig {
        local: peer(index),
        boot: 0,
        advert,
        accept: AcceptPolicy::default().with(FAMILY, Accept::Listed),
        slots: if index == 0 { 0 } else { scenario.slots },
        lease: scenario.lease,
        heartbeat: scenario.heartbeat,
        durability: Durability::Disk,
        max_owned: scenario.max_owned,
        keep_bytes: kept_bytes(scenario, scenario.max_members),
        memory_bytes: kept_bytes(scenario, limits::KEPT),
        blob_bytes: meshwork_core::limits::BLOB_BUDGET,
        keep_results: meshwork_core::limits::MAX_TIME_LIMIT,
        up_before: Duration::ZERO,
        started: Time::ZERO,
    }
}

/// Disk bytes for the scenario's number of ended tasks, plus all members of groups, at most `most`.
fn kept_bytes(scenario: &Scenario, most: usize) -> u64 {
    if scenario.max_ended >= limits::KEPT {
        return limits::KEPT_BYTES;
    }
    let members = most.min(limits::MEMBERS * scenario.groups);
    ((scenario.max_ended + members) * meshwork_core::limits::ENDED_WEIGHT) as u64
}

/// The index of the node with this id, if any.
pub(crate) fn index_of(peer: &PeerId) -> Option<usize> {
    let digest = peer.as_ref().digest();
    let number = digest.last_chunk::<8>().copied().map(u64::from_be_bytes)?;
    usize::try_from(number).ok()
}

/// The id of a node: an identity multihash of 32 bytes, as for short keys.
pub(super) fn peer(index: usize) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([0; 24]);
    bytes.extend((index as u64).to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap_or_else(|error| unreachable!("38 bytes of an id: {error}"))
}
