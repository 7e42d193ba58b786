//! A peer as others see it in a snapshot.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use serde::Serialize;

use crate::advert::Advert;

/// How far a peer has come, and why it is stuck where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum PeerState {
    /// Not connected; why, if it is known.
    Disconnected(Option<String>),
    /// Connected, but not admitted.
    Connected(Stuck),
    /// Said hello and was admitted, but cannot be given work yet.
    Admitted(Stuck),
    /// Can be given work, or give some.
    Ready,
}

impl PeerState {
    /// The state's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Disconnected(_) => "disconnected",
            Self::Connected(_) => "connected",
            Self::Admitted(_) => "admitted",
            Self::Ready => "ready",
        }
    }

    /// Why the peer is not further, in words.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Disconnected(why) => why.clone(),
            Self::Connected(stuck) | Self::Admitted(stuck) => Some(stuck.to_string()),
            Self::Ready => None,
        }
    }
}

/// Why a peer is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stuck {
    /// Its hello has not arrived.
    #[error("waiting for its hello")]
    AwaitingHello,
    /// It does not speak the hello protocol: not a Meshwork node.
    #[error("it does not speak the hello protocol")]
    NoHello,
    /// We refused its hello.
    #[error("we refused its hello: {0}")]
    WeRefused(String),
    /// It has not answered our hello.
    #[error("waiting for its answer to our hello")]
    AwaitingAnswer,
    /// It refused our hello.
    #[error("it refused our hello: {0}")]
    TheyRefused(String),
    /// Two connections, of which one is being closed.
    #[error("settling which of two connections to keep")]
    Settling,
}

/// What a node knows of a peer, at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct PeerInfo {
    /// Who it is.
    #[serde(serialize_with = "as_text")]
    pub peer_id: PeerId,
    /// Where it can be reached, as far as is known; at most 8.
    pub addresses: Vec<Multiaddr>,
    /// Protocols that it says it speaks.
    pub protocols: BTreeSet<String>,
    /// When something was last heard from it.
    pub last_seen: DateTime<Utc>,
    /// Smoothed round trip.
    #[serde(rename = "latency_us", serialize_with = "as_micros")]
    pub latency: Option<Duration>,
    /// From −100 to 100.
    pub reputation: i32,
    /// How far it has come.
    pub state: PeerState,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// What it says of itself, once it is admitted.
    pub advert: Option<Advert>,
    /// Software and version, as it says.
    pub agent: Option<String>,
    /// Our unfinished attempts there.
    pub assigned: u32,
    /// Its unfinished attempts here.
    pub held: u32,
}

fn as_text<S: serde::Serializer>(peer: &PeerId, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(peer)
}

fn as_micros<S: serde::Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    value.map(|v| u64::try_from(v.as_micros()).unwrap_or(u64::MAX)).serialize(s)
}
