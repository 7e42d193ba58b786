//! Whom a node looks for, and whom it has heard of.
//!
//! Absent on purpose: asking others, signatures, dials (`meshwork-net`).

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

/// Which peers to find. All that is asked for must hold; the default matches every peer.
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
    /// This peer alone.
    pub peer: Option<PeerId>,
    /// Peers that advertise this capability.
    pub capability: Option<String>,
    /// Peers that offer this handler to the asker.
    pub handler: Option<HandlerName>,
    /// Peers that carry these labels, with exactly these values; at most 32.
    pub labels: BTreeMap<String, String>,
    /// Peers with at least so many CPU cores not in use. Peers that have not said are left out,
    /// unless it is 0.
    pub free_cpus: f32,
    /// Peers with at least so much free memory, in bytes; likewise.
    pub free_memory_bytes: u64,
    /// Peers whose round trip is at most this. Peers that were not measured are left out.
    pub latency: Option<Duration>,
    /// Peers that have come exactly so far.
    pub state: Option<PeerStage>,
    /// At most so many, 1 to [`limits::QUERY_LIMIT`]: the best first. Default 16.
    pub limit: usize,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct InvalidQuery {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it, and what is allowed.
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

/// What a query looks at in one peer.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub peer: PeerId,
    /// What it says of itself.
    pub advert: Option<&'a Advert>,
    /// What its machine has and uses.
    pub resources: Option<&'a ResourceUsage>,
    /// How far away it is.
    pub latency: Option<Duration>,
    /// How far it has come.
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

    /// Whether every field is within its bounds.
    ///
    /// # Errors
    ///
    /// The first field that is not, why, and what is allowed.
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

    /// Whether a peer is what is looked for.
    pub fn matches(&self, peer: &Candidate<'_>) -> bool {
        self.peer.is_none_or(|wanted| wanted == peer.peer)
            && self.state.is_none_or(|stage| stage == peer.stage)
            && self.latency.is_none_or(|most| peer.latency.is_some_and(|has| has <= most))
            && self.matches_advert(peer.advert)
            && self.matches_resources(peer.resources)
    }

    /// As [`Self::matches`], for a peer as it is shown.
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
