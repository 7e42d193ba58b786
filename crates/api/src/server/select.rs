//! Resolves the names and ids in requests to peers, tasks and groups.
//!
//! A peer chooses its own name, so any peer can take any name. A name that the user gave comes
//! first. Otherwise a name means a trusted peer or this node if one has it, and among equally
//! trusted peers a connected one. If it fits a disconnected trusted peer and a connected untrusted
//! one, it is refused: the latter may be the successor, or an impostor.

use axum::http::StatusCode;
use meshwork_core::{GroupId, PeerId, PeerInfo, PeerStage, TaskId};
use meshwork_node::{GroupHandle, NetworkManager};

use crate::types::{ErrorCode, Problem};

#[cfg(test)]
mod tests;

/// The task that `selector` names.
pub(super) async fn task(manager: &NetworkManager, selector: &str) -> Result<TaskId, Problem> {
    match selector.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(manager.find_task(selector).await?),
    }
}

/// The group that `selector` names.
pub(super) async fn group(
    manager: &NetworkManager,
    selector: &str,
) -> Result<GroupHandle, Problem> {
    let id = match selector.parse::<GroupId>() {
        Ok(id) => id,
        Err(_) => manager.find_group(selector).await?,
    };
    Ok(manager.group(id))
}

/// Checks each state against `known`, the states of `what`, and returns them as words.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn states(
    states: &[impl ToString],
    known: &[&str],
    what: &str,
) -> Result<Vec<String>, Problem> {
    states
        .iter()
        .map(|state| {
            let state = state.to_string();
            if known.contains(&state.as_str()) {
                return Ok(state);
            }
            Err(Problem::bad_request(format!("{state:?} is not a state of {what}"))
                .with_hint(format!("use one of {}", known.join(", "))))
        })
        .collect()
}

/// The peer that `text` names: a peer id, known or not; a name; or the unique start of a name.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn peer(manager: &NetworkManager, text: &str) -> Result<PeerId, Problem> {
    if let Ok(peer) = text.parse() {
        return Ok(peer);
    }
    let mut known = vec![Named {
        peer: manager.local_peer_id(),
        name: manager.name().to_owned(),
        given: false,
        trusted: true,
        connected: true,
    }];
    known.extend(manager.known_peers()?.into_iter().flat_map(Named::of));
    by_name(&known, text)
}

/// A peer and one of its names.
#[derive(Clone, Debug)]
struct Named {
    peer: PeerId,
    name: String,
    /// Whether this node's user chose the name, rather than the peer.
    given: bool,
    /// Whether the peer is trusted, or this node itself.
    trusted: bool,
    connected: bool,
}

impl Named {
    /// One entry for each of the peer's names.
    fn of(info: PeerInfo) -> Vec<Self> {
        let own = info.advert.map(|advert| advert.name).filter(|name| !name.is_empty());
        let named = |(name, given)| Self {
            peer: info.peer_id,
            name,
            given,
            trusted: info.trusted,
            connected: info.state.stage() != PeerStage::Disconnected,
        };
        let own = own.map(|name| (name, false));
        // A peer without a name can still be found by a part of its id.
        let nameless = (own.is_none() && info.given_name.is_none()).then(|| (String::new(), false));
        info.given_name
            .map(|name| (name, true))
            .into_iter()
            .chain(own)
            .chain(nameless)
            .map(named)
            .collect()
    }
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn by_name(known: &[Named], text: &str) -> Result<PeerId, Problem> {
    type Matches = fn(&Named, &str) -> bool;
    let given: Matches = |named, text| named.given && named.name == text;
    let same: Matches = |named, text| named.name == text;
    let starts_given: Matches = |named, text| named.given && named.name.starts_with(text);
    let starts: Matches = |named, text| named.name.starts_with(text);
    let id_ends: Matches = |named, text| {
        let id = named.peer.to_string();
        text.len() >= ID_PART && (id.ends_with(text) || id.starts_with(text))
    };
    for matches in [given, same, starts_given, starts, id_ends] {
        let mut found: Vec<&Named> =
            known.iter().filter(|named| !text.is_empty() && matches(named, text)).collect();
        // A peer may match by both of its names.
        found.sort_by_key(|named| named.peer);
        found.dedup_by_key(|named| named.peer);
        if let Some(chosen) = choose(text, &found)? {
            return Ok(chosen);
        }
    }
    let detail = format!("no known peer is called {text:?}");
    Err(Problem::new(StatusCode::NOT_FOUND, ErrorCode::PeerNotFound, detail)
        .with_hint("see which peers there are: meshwork peers"))
}

/// The peer to choose among those that match; `None` if none matches.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn choose(text: &str, found: &[&Named]) -> Result<Option<PeerId>, Problem> {
    let trusted = found.iter().any(|named| named.trusted);
    let equal: Vec<&Named> =
        found.iter().filter(|named| named.trusted == trusted).copied().collect();
    let connected: Vec<&Named> = equal.iter().filter(|named| named.connected).copied().collect();
    let best = if connected.is_empty() { equal } else { connected };
    match best.as_slice() {
        [] => Ok(None),
        [one] => match found.iter().find(|other| other.may_be_successor_of(one)) {
            Some(other) => Err(replaced(one, other)),
            None => Ok(Some(one.peer)),
        },
        several => Err(ambiguous(text, several)),
    }
}

impl Named {
    /// Whether this is a connected untrusted peer with the name of `old`, a disconnected trusted
    /// peer.
    fn may_be_successor_of(&self, old: &Self) -> bool {
        let is_stranger = self.connected && !self.trusted;
        old.trusted && !old.connected && is_stranger && self.name == old.name
    }
}

fn replaced(old: &Named, new: &Named) -> Problem {
    let (name, old, new) = (&old.name, old.peer, new.peer);
    let detail = format!(
        "{name:?} is the name of {old} (trusted, not connected) and of {new} (connected, not \
         trusted)"
    );
    Problem::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, detail).with_hint(format!(
        "if the new one replaces the old: meshwork peers trust {new} && meshwork peers forget {old}; \
         otherwise use the peer id"
    ))
}

/// Minimum length of a part of a peer id.
const ID_PART: usize = 4;

fn ambiguous(text: &str, found: &[&Named]) -> Problem {
    let detail = format!("{} peers match {text:?}", found.len());
    Problem::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, detail)
        .with_hint("use the peer id: meshwork peers --json")
}
