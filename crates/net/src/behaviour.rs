//! The swarm's behaviour: one small behaviour per policy, each with explicit limits.
//!
//! Absent on purpose: decisions that need the table of peers. The event loop makes those.

pub(crate) mod budget;
pub(crate) mod gate;
pub(crate) mod mdns;
pub(crate) mod places;
pub(crate) mod streams;
pub(crate) mod table;

use std::{num::NonZeroUsize, sync::Arc};

use libp2p::{
    PeerId, StreamProtocol, identify, kad, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

use crate::{config::NetConfig, counters::Counters, error::BuildError, limits};

/// The protocol version in identify.
pub(crate) const PROTOCOL_VERSION: &str = "/meshwork/1.0.0";
/// The agent version in identify.
const AGENT: &str = concat!("meshwork/", env!("CARGO_PKG_VERSION"));
/// The number of peers that one query asks at once, on disjoint paths.
const KAD_PARALLELISM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// All behaviours of a connection.
///
/// Each poll of a connection asks every field for its protocol names, through one more layer per
/// following field. So the field with the most protocols comes last.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Bounds connections and dials. First, because it is the cheapest to ask.
    pub(crate) places: places::Behaviour,
    /// Denies connections to expelled and blocked peers.
    pub(crate) gate: gate::Behaviour,
    /// Finds peers on the local network segments.
    pub(crate) mdns: Toggle<mdns::Behaviour>,
    /// Exchanges what nodes claim about themselves.
    pub(crate) identify: identify::Behaviour,
    /// Answers pings of peers that are not Meshwork nodes.
    pub(crate) ping: ping::Behaviour,
    /// Finds unknown peers; never used to decide which peers are alive.
    pub(crate) kad: table::Behaviour,
    /// Streams of Meshwork's own protocols.
    pub(crate) streams: streams::Behaviour,
}

impl Behaviour {
    /// Creates all behaviours.
    ///
    /// # Errors
    ///
    /// mDNS is enabled and cannot watch the machine's interfaces.
    pub(crate) fn new(config: &NetConfig, counters: &Arc<Counters>) -> Result<Self, BuildError> {
        let local = config.keypair.public().to_peer_id();
        let mdns = config.mdns.then(|| mdns::Behaviour::new(local)).transpose();
        let mdns =
            mdns.map_err(|source| BuildError::Transport { what: "mDNS", source: source.into() })?;
        Ok(Self {
            places: places::Behaviour::new(config.max_peers, config.offer.trusted.clone()),
            gate: gate::Behaviour::blocking(config.blocked.iter().copied()),
            mdns: Toggle::from(mdns),
            identify: identify(config),
            ping: ping::Behaviour::new(
                ping::Config::new()
                    .with_interval(limits::PING_EVERY)
                    .with_timeout(config.protocol_timeout),
            ),
            kad: table::Behaviour::new(kad(local, config), local),
            streams: streams::Behaviour::new(Arc::clone(counters)),
        })
    }
}

/// The Kademlia protocol name of a network. It differs per network, so that networks share no
/// routing table.
///
/// # Errors
///
/// `network` is not a valid network name.
pub(crate) fn kad_protocol(network: &str) -> Result<StreamProtocol, String> {
    StreamProtocol::try_from_owned(format!("/meshwork/{network}/kad/1.0.0"))
        .map_err(|error| error.to_string())
}

fn identify(config: &NetConfig) -> identify::Behaviour {
    // No signed peer record: its legacy domain makes other implementations reject it. No cache: it
    // would add unvalidated addresses to every dial. No listen addresses: every stranger would
    // learn the private ones. Signed adverts give each peer the addresses that it may know.
    identify::Behaviour::new(
        identify::Config::new(PROTOCOL_VERSION.to_owned(), config.keypair.public())
            .with_agent_version(AGENT.to_owned())
            .with_hide_listen_addrs(true)
            .with_cache_size(0),
    )
}

fn kad(local: PeerId, config: &NetConfig) -> kad::Behaviour<kad::store::MemoryStore> {
    // The name was checked with the configuration.
    let protocol =
        kad_protocol(&config.network).unwrap_or(StreamProtocol::new("/meshwork/invalid/kad/1.0.0"));
    let mut kad = kad::Config::new(protocol);
    kad.set_query_timeout(limits::KAD_QUERY_TIMEOUT)
        .set_substreams_timeout(config.protocol_timeout)
        .set_max_packet_size(limits::KAD_PACKET)
        .set_parallelism(KAD_PARALLELISM)
        .disjoint_query_paths(true)
        // Records go to the loop, which stores those of admitted peers.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_record_ttl(Some(limits::KAD_RECORD_LIFE))
        .set_provider_publication_interval(Some(limits::KAD_REPUBLISH))
        .set_caching(kad::Caching::Disabled)
        // The loop adds connected peers, with addresses that were checked.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_periodic_bootstrap_interval(Some(limits::KAD_BOOTSTRAP));
    let store = kad::store::MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: limits::KAD_PROVIDERS,
        max_provided_keys: limits::KAD_RECORDS,
    };
    let store = kad::store::MemoryStore::with_config(local, store);
    let mut kad = kad::Behaviour::with_config(local, store, kad);
    // Set explicitly: on a private network no peer confirms an external address, so the mode would
    // never become "server".
    let mode = if config.listen.is_empty() { kad::Mode::Client } else { kad::Mode::Server };
    kad.set_mode(Some(mode));
    kad
}
