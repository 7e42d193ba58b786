//! Which peer, task or group a text in a request means.
//!
//! Names are what peers say of themselves, so anybody can call itself anything. A name that the user
//! gave goes first. Else a name means a trusted peer (or the node itself) if one has it, and among
//! peers of equal trust one that is connected. Where it fits a trusted peer that is gone and a stranger
//! that is connected, it means neither: the stranger may be its successor, or an impostor.

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

/// The words of these states, each of which is one of `known`, those of `what`.
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
            Err(Problem::bad_request(format!("{state:?} is no state of {what}"))
                .with_hint(format!("write one of {}", known.join(", "))))
        })
        .collect()
}

/// The peer that `text` names: a peer id, known or not; a name; or the unique start of one.
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

/// A peer that can be found by name.
#[derive(Clone, Debug)]
struct Named {
    peer: PeerId,
    name: String,
    /// By this node's user, not by the peer.
    given: bool,
    /// Trusted, or the node itself.
    trusted: bool,
    connected: bool,
}

impl Named {
    /// The peer by the name that it was given, and by the one that it gives itself.
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
        // One without any name may still be meant by a part of its id.
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
        // One peer may match by both of its names.
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

/// The one that is meant of those that match; none if none does.
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
    /// Whether this is a connected stranger with the name of `old`, a trusted peer that is gone.
    fn may_be_successor_of(&self, old: &Self) -> bool {
        let is_stranger = self.connected && !self.trusted;
        old.trusted && !old.connected && is_stranger && self.name == old.name
    }
}

fn replaced(old: &Named, new: &Named) -> Problem {
    let (name, old, new) = (&old.name, old.peer, new.peer);
    let detail = format!(
        "{name:?} is {old}, which is trusted and not connected, and {new}, which is connected and not \
         trusted"
    );
    Problem::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, detail).with_hint(format!(
        "if the new one replaces the old: meshwork peers trust {new} && meshwork peers forget {old}; \
         else write the peer id"
    ))
}

/// Fewest characters of a peer id that are taken for a part of one.
const ID_PART: usize = 4;

fn ambiguous(text: &str, found: &[&Named]) -> Problem {
    let detail = format!("{} peers match {text:?}", found.len());
    Problem::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, detail)
        .with_hint("write the peer id: meshwork peers --json")
}
