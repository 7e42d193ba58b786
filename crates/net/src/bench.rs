//! What the benches of `meshwork-bench` measure and nobody else may name. No part of the API.

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

/// Frames to bytes and back, as a session does it.
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
    /// The bytes of a batch from an owner; fewer if a frame cannot be sent.
    pub fn encode_to_worker(&mut self, frames: &[ToWorker]) -> &[u8] {
        self.encode(frames, Encoder::push_to_worker)
    }

    /// The bytes of a batch from a worker; fewer if a frame cannot be sent.
    pub fn encode_to_owner(&mut self, frames: &[ToOwner]) -> &[u8] {
        self.encode(frames, Encoder::push_to_owner)
    }

    /// The frames of such a batch; fewer if it is malformed.
    pub fn decode_to_worker(&mut self, bytes: &[u8]) -> Vec<ToWorker> {
        let Self { decoder, names, .. } = self;
        decode(decoder, bytes, |message, inbox| to_worker(message, names, inbox))
    }

    /// The frames of such a batch; fewer if it is malformed.
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

/// The peers that a node knows, as [`NetHandle::known`](crate::handle::NetHandle::known) looks through it.
#[derive(Debug)]
pub struct Cache {
    peers: Vec<PeerStatus>,
    leads: Vec<PeerStatus>,
}

impl Cache {
    /// So many ready peers and so many by hearsay, each with its own latency and an advert.
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
        let (here, gone) = (PeerState::Ready, PeerState::Disconnected(None));
        Self { peers: table(peers, &here), leads: table(leads, &gone) }
    }

    /// Those that match, the best first.
    pub fn find(&self, query: &PeerQuery) -> Vec<PeerStatus> {
        known::best(query, &self.peers, &self.leads)
    }
}
