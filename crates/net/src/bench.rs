//! Internals for the benches of `meshwork-bench`. Not part of the API.

use std::{sync::Arc, time::Duration};

use libp2p::PeerId;
use meshwork_core::{Advert, PeerQuery, PeerState, ToOwner, ToWorker};

use crate::{
    clock::{Clock, LastSeen},
    event::PeerStatus,
    limits,
    protocol::{
        discovery::known,
        task::{
            decode::{Inbox, to_owner, to_worker},
            encode::Encoder,
            names::Names,
        },
    },
    wire::{Decoder, Message, WireError},
};

/// Encodes and decodes frames like a session.
#[derive(Debug)]
pub struct Codec {
    encoder: Encoder,
    decoder: Decoder,
    names: Names,
}

impl Default for Codec {
    fn default() -> Self {
        Self {
            encoder: Encoder::default(),
            decoder: Decoder::new(limits::TASK_FRAME),
            names: Names::default(),
        }
    }
}

impl Codec {
    /// Encodes a batch from an owner, up to the first frame that cannot be sent.
    pub fn encode_to_worker(&mut self, frames: &[ToWorker]) -> &[u8] {
        self.encode(frames, Encoder::push_to_worker)
    }

    /// Encodes a batch from a worker, up to the first frame that cannot be sent.
    pub fn encode_to_owner(&mut self, frames: &[ToOwner]) -> &[u8] {
        self.encode(frames, Encoder::push_to_owner)
    }

    /// Decodes a batch from an owner, up to the first malformed message.
    pub fn decode_to_worker(&mut self, bytes: &[u8]) -> Vec<ToWorker> {
        let Self { decoder, names, .. } = self;
        decode(decoder, bytes, |message, inbox| to_worker(message, names, inbox))
    }

    /// Decodes a batch from a worker, up to the first malformed message.
    pub fn decode_to_owner(&mut self, bytes: &[u8]) -> Vec<ToOwner> {
        decode(&mut self.decoder, bytes, to_owner)
    }

    fn encode<T>(
        &mut self,
        frames: &[T],
        push: impl Fn(&mut Encoder, &T) -> Result<(), WireError>,
    ) -> &[u8] {
        self.encoder.clear();
        for frame in frames {
            if push(&mut self.encoder, frame).is_err() {
                break;
            }
        }
        self.encoder.finish();
        self.encoder.bytes()
    }
}

fn decode<T>(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    mut take: impl FnMut(&Message<'_>, &mut Inbox<T>) -> Result<(), WireError>,
) -> Vec<T> {
    let mut inbox = Inbox::default();
    while !bytes.is_empty() {
        let space = decoder.space();
        let count = space.len().min(bytes.len());
        let (now, later) = bytes.split_at(count);
        if let Some(space) = space.get_mut(..count) {
            space.copy_from_slice(now);
        }
        decoder.advance(count);
        bytes = later;
        while let Ok(Some(message)) = decoder.next() {
            if take(&message, &mut inbox).is_err() {
                return inbox.frames;
            }
        }
    }
    inbox.frames
}

/// The peers that a node knows, for the search in
/// [`NetHandle::known`](crate::handle::NetHandle::known).
#[derive(Debug)]
pub struct Cache {
    peers: Vec<PeerStatus>,
    leads: Vec<PeerStatus>,
}

impl Cache {
    /// Creates a table of ready peers and one of peers by hearsay, each peer with a different
    /// latency and the same advert.
    pub fn new(peers: &[PeerId], leads: &[PeerId], advert: &Advert) -> Self {
        let clock = Clock::new();
        let status = |(number, peer): (usize, &PeerId), state| PeerStatus {
            state,
            latency: Some(Duration::from_micros(number as u64 * 7_919 % 100_000)),
            advert: Some(advert.clone()),
            ..known::by_hearsay(*peer, Arc::new(LastSeen::new(clock)))
        };
        let table = |ids: &[PeerId], state: &PeerState| {
            let rows = ids.iter().enumerate().map(|row| status(row, state.clone()));
            let mut rows: Vec<_> = rows.collect();
            rows.sort_by_key(|status| status.peer);
            rows
        };
        let (ready, disconnected) = (PeerState::Ready, PeerState::Disconnected(None));
        Self { peers: table(peers, &ready), leads: table(leads, &disconnected) }
    }

    /// The peers that match the query, the best first.
    pub fn find(&self, query: &PeerQuery) -> Vec<PeerStatus> {
        known::best(query, &self.peers, &self.leads)
    }
}
