//! Which peer, task or group a text in a request means.
//!
//! Names are what peers say of themselves, so anybody can call itself anything. A name therefore
//! means a trusted peer (or the node itself) if any of these has it, and a stranger only if it is
//! the only one; whoever must be sure writes the peer id.

use axum::http::StatusCode;
use meshwork_core::{GroupId, PeerId, PeerInfo, TaskId};
use meshwork_node::NetworkManager;

use crate::types::Problem;

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
pub(super) async fn group(manager: &NetworkManager, selector: &str) -> Result<GroupId, Problem> {
    match selector.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(manager.find_group(selector).await?),
    }
}

/// The states that `text` names, separated by commas: each is one of `known`, those of `what`.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn states(text: &str, known: &[&str], what: &str) -> Result<Vec<String>, Problem> {
    text.split(',')
        .filter(|state| !state.is_empty())
        .map(|state| {
            if known.contains(&state) {
                return Ok(state.to_owned());
            }
            Err(Problem::bad_request(format!("{state:?} is no state of {what}"))
                .with_hint(format!("write one of {}", known.join(", "))))
        })
        .collect()
}

/// The peer that `text` names: a peer id, known or not; a name; or the unique start of one.
pub(super) async fn peer(manager: &NetworkManager, text: &str) -> Result<PeerId, Problem> {
    if let Ok(peer) = text.parse() {
        return Ok(peer);
    }
    let mut known = vec![Named {
        peer: manager.local_peer_id(),
        name: manager.status().await?.advert.name,
        preferred: true,
    }];
    known.extend(manager.get_peers().await?.into_iter().filter_map(Named::of));
    by_name(&known, text)
}

/// A peer that can be found by name.
#[derive(Clone, Debug)]
struct Named {
    peer: PeerId,
    name: String,
    /// Trusted, or the node itself.
    preferred: bool,
}

impl Named {
    fn of(info: PeerInfo) -> Option<Self> {
        let name = info.advert.map(|advert| advert.name).filter(|name| !name.is_empty())?;
        Some(Self { peer: info.peer_id, name, preferred: info.trusted })
    }
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn by_name(known: &[Named], text: &str) -> Result<PeerId, Problem> {
    type Matches = fn(&Named, &str) -> bool;
    let same: Matches = |named, text| named.name == text;
    let starts: Matches = |named, text| named.name.starts_with(text);
    let id_ends: Matches = |named, text| {
        let id = named.peer.to_string();
        text.len() >= ID_PART && (id.ends_with(text) || id.starts_with(text))
    };
    for matches in [same, starts, id_ends] {
        for preferred in [true, false] {
            let found: Vec<&Named> = known
                .iter()
                .filter(|named| !text.is_empty() && named.preferred == preferred)
                .filter(|named| matches(named, text))
                .collect();
            match found.as_slice() {
                [] => {}
                [one] => return Ok(one.peer),
                several => return Err(ambiguous(text, several)),
            }
        }
    }
    let detail = format!("no known peer is called {text:?}");
    Err(Problem::new(StatusCode::NOT_FOUND, "peer_not_found", detail)
        .with_hint("see which peers there are: meshwork peers"))
}

/// Fewest characters of a peer id that are taken for a part of one.
const ID_PART: usize = 4;

fn ambiguous(text: &str, found: &[&Named]) -> Problem {
    let detail = format!("{} peers match {text:?}", found.len());
    Problem::new(StatusCode::CONFLICT, "ambiguous", detail)
        .with_hint("write the peer id: meshwork peers --json")
}
