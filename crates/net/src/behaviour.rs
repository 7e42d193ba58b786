//! The swarm's behaviour: one small behaviour per policy, each with its limits set on purpose.
//!
//! Absent on purpose: decisions that need the table of peers. Those are the event loop's.

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

/// What identify says of this program's protocols.
pub(crate) const PROTOCOL_VERSION: &str = "/meshwork/1.0.0";
/// What identify says of this program.
const AGENT: &str = concat!("meshwork/", env!("CARGO_PKG_VERSION"));
/// Peers asked at once by one query, on disjoint paths.
const KAD_PARALLELISM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// All that happens on a connection.
///
/// Each poll of a connection asks all of them for the names of their protocols, through one more layer
/// for each field that follows: what has the most of them comes last.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// How many connections and dials there are: before anything else, because it is the cheapest to
    /// ask.
    pub(crate) places: places::Behaviour,
    /// Denies connections to expelled and blocked peers.
    pub(crate) gate: gate::Behaviour,
    /// Finds peers on the local network segments.
    pub(crate) mdns: Toggle<mdns::Behaviour>,
    /// What peers are, as they say.
    pub(crate) identify: identify::Behaviour,
    /// For peers that are no Meshwork nodes and want to know whether this one answers.
    pub(crate) ping: ping::Behaviour,
    /// Finds strangers; never asked who is alive.
    pub(crate) kad: table::Behaviour,
    /// Streams of Meshwork's own protocols.
    pub(crate) streams: streams::Behaviour,
}

impl Behaviour {
    /// Makes all of them.
    ///
    /// # Errors
    ///
    /// mDNS is asked for and cannot watch the machine's interfaces.
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

/// The Kademlia protocol of a network: nodes of another network do not share a table.
///
/// # Errors
///
/// Not a network's name.
pub(crate) fn kad_protocol(network: &str) -> Result<StreamProtocol, String> {
    StreamProtocol::try_from_owned(format!("/meshwork/{network}/kad/1.0.0"))
        .map_err(|error| error.to_string())
}

fn identify(config: &NetConfig) -> identify::Behaviour {
    // Without a signed peer record: its legacy domain makes other implementations reject it.
    // Without a cache: it would offer unvalidated addresses to every dial.
    // Without listen addresses: every stranger would be told the private ones. Signed adverts tell
    // each peer what it may know.
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
        // Records are told to the loop, which keeps those of providers that are admitted peers.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_record_ttl(Some(limits::KAD_RECORD_LIFE))
        .set_provider_publication_interval(Some(limits::KAD_REPUBLISH))
        .set_caching(kad::Caching::Disabled)
        // Only peers that were met, with addresses that were checked.
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
    // Explicit, because on a private network nobody confirms an external address, without which
    // the mode would never become "server".
    let mode = if config.listen.is_empty() { kad::Mode::Client } else { kad::Mode::Server };
    kad.set_mode(Some(mode));
    kad
}
