//! Queries for peers, and peers known by hearsay.
//!
//! Absent on purpose: network requests, signatures, dials (`meshwork-net`).

use std::{collections::BTreeMap, time::Duration};

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    advert::{Advert, clean},
    limits,
    peer::{PeerInfo, PeerStage},
    resource::ResourceUsage,
    task::HandlerName,
};

pub mod leads;
#[cfg(test)]
mod tests;

/// A query for peers. A peer matches if it meets every condition; the default matches every peer.
///
/// ```
/// use meshwork_core::PeerQuery;
///
/// let query = PeerQuery { handler: "text/upper".parse().ok(), ..PeerQuery::capability("gpu") };
/// assert!(query.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerQuery {
    /// Only this peer.
    pub peer: Option<PeerId>,
    /// Peers that advertise this capability.
    pub capability: Option<String>,
    /// Peers that offer this handler to the asker.
    pub handler: Option<HandlerName>,
    /// Peers that carry these labels with exactly these values; at most 32 labels.
    pub labels: BTreeMap<String, String>,
    /// Peers with at least this many CPU cores free. Unless it is 0, peers that have not reported
    /// their resources do not match.
    pub free_cpus: f32,
    /// Peers with at least this much free memory, in bytes; the same rule for peers without a
    /// report.
    pub free_memory_bytes: u64,
    /// Peers with at most this round trip. Peers without a measurement do not match.
    pub latency: Option<Duration>,
    /// Peers in exactly this state.
    pub state: Option<PeerStage>,
    /// The largest number of peers in the answer, from 1 to [`limits::QUERY_LIMIT`]; the best come
    /// first. Default 16.
    pub limit: usize,
}

/// A query with a field out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct InvalidQuery {
    /// The name of the invalid field.
    pub field: &'static str,
    /// What is wrong with the field, and which values are allowed.
    pub why: String,
}

impl Default for PeerQuery {
    fn default() -> Self {
        Self {
            peer: None,
            capability: None,
            handler: None,
            labels: BTreeMap::new(),
            free_cpus: 0.0,
            free_memory_bytes: 0,
            latency: None,
            state: None,
            limit: 16,
        }
    }
}

/// The facts about one peer that a query is matched against.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The peer's id.
    pub peer: PeerId,
    /// The peer's advert, if it has sent one.
    pub advert: Option<&'a Advert>,
    /// The peer's reported resources, if any.
    pub resources: Option<&'a ResourceUsage>,
    /// The measured round trip, if any.
    pub latency: Option<Duration>,
    /// The stage of the peer's connection.
    pub stage: PeerStage,
}

impl PeerQuery {
    /// A query for peers with this capability.
    pub fn capability(name: impl Into<String>) -> Self {
        Self { capability: Some(name.into()), ..Self::default() }
    }

    /// A query for peers that offer this handler.
    pub fn handler(name: HandlerName) -> Self {
        Self { handler: Some(name), ..Self::default() }
    }

    /// A query for one peer.
    pub fn peer(peer: PeerId) -> Self {
        Self { peer: Some(peer), limit: 1, ..Self::default() }
    }

    /// Checks that every field is within its bounds.
    ///
    /// # Errors
    ///
    /// A field is out of bounds: the error names the first one, says why, and what is allowed.
    pub fn check(&self) -> Result<(), InvalidQuery> {
        let wrong = |field, why: String| Err(InvalidQuery { field, why });
        let is_text = |text: &str| !text.is_empty() && clean(text) == text;
        let text = format!("1 to {} bytes without control characters", limits::LABEL_BYTES);
        if self.capability.as_deref().is_some_and(|name| !is_text(name)) {
            return wrong("capability", text);
        }
        if self.labels.len() > limits::LABELS {
            return wrong("labels", format!("{}; at most {}", self.labels.len(), limits::LABELS));
        }
        if self.labels.iter().any(|(name, value)| !is_text(name) || !is_text(value)) {
            return wrong("labels", text);
        }
        if !(0.0..=limits::CPUS as f32).contains(&self.free_cpus) {
            let why = format!("{}; from 0 to {}", self.free_cpus, limits::CPUS);
            return wrong("free_cpus", why);
        }
        if self.free_memory_bytes > limits::MEMORY_BYTES {
            let why = format!("{}; at most {}", self.free_memory_bytes, limits::MEMORY_BYTES);
            return wrong("free_memory_bytes", why);
        }
        if !(1..=limits::QUERY_LIMIT).contains(&self.limit) {
            return wrong("limit", format!("{}; from 1 to {}", self.limit, limits::QUERY_LIMIT));
        }
        Ok(())
    }

    /// Whether `peer` meets every condition of the query.
    pub fn matches(&self, peer: &Candidate<'_>) -> bool {
        self.peer.is_none_or(|wanted| wanted == peer.peer)
            && self.state.is_none_or(|stage| stage == peer.stage)
            && self.latency.is_none_or(|most| peer.latency.is_some_and(|has| has <= most))
            && self.matches_advert(peer.advert)
            && self.matches_resources(peer.resources)
    }

    /// As [`Self::matches`], for a peer of a snapshot.
    pub fn matches_info(&self, info: &PeerInfo) -> bool {
        self.matches(&Candidate {
            peer: info.peer_id,
            advert: info.advert.as_ref(),
            resources: info.resources.as_ref(),
            latency: info.latency,
            stage: info.state.stage(),
        })
    }

    fn matches_advert(&self, advert: Option<&Advert>) -> bool {
        if self.capability.is_none() && self.handler.is_none() && self.labels.is_empty() {
            return true;
        }
        let Some(advert) = advert else { return false };
        self.capability.as_ref().is_none_or(|name| advert.capabilities.contains(name))
            && self.handler.as_ref().is_none_or(|name| advert.handlers.contains(name))
            && self.labels.iter().all(|(name, value)| advert.labels.get(name) == Some(value))
    }

    fn matches_resources(&self, usage: Option<&ResourceUsage>) -> bool {
        if self.free_cpus <= 0.0 && self.free_memory_bytes == 0 {
            return true;
        }
        usage.is_some_and(|usage| {
            usage.free_cpus() >= self.free_cpus && usage.memory_free_bytes >= self.free_memory_bytes
        })
    }
}
