//! Leads: adverts that other peers passed on, kept until they expire.
//!
//! An advert is signed by its subject, numbered and short-lived. A peer that passes it on can
//! withhold it or understate its age, but cannot forge one or replay an old one. It is a lead, not
//! a fact: the peer is shown as live only after contact.
//!
//! Absent on purpose: verification of signatures, which happens before an advert arrives here, and
//! dials.

use std::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use rustc_hash::FxHashMap;

use crate::{advert::Advert, limits, time::Time};

#[cfg(test)]
mod tests;

/// What a node tells every peer about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerAdvert {
    /// The peer that the advert is about.
    pub peer: PeerId,
    /// Rises with every advert of this peer, also across its restarts.
    pub seq: u64,
    /// Time since the advert was made, as far as known: each peer that passes it on adds the time
    /// for which it held it.
    pub age: Duration,
    /// How long it is valid after it was made, at most [`limits::ADVERT_LIFE`].
    pub life: Duration,
    /// The peer's listen addresses; at most [`limits::PEER_ADDRESSES`].
    pub addresses: Vec<Multiaddr>,
    /// What the peer offers to everybody.
    pub advert: Advert,
}

/// Why an advert was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvertRejected {
    /// It is about this node itself.
    #[error("it is about this node itself")]
    Own,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// An equally new or newer advert is known.
    #[error("it is not newer than the known advert")]
    Old,
    /// The table is full of adverts that live longer, or the informant has used up its share.
    #[error("the table of leads has no room for it")]
    NoRoom,
}

/// A received advert with its origin and expiry.
#[derive(Clone, Debug)]
pub struct Lead<S> {
    /// The subject's advert, with its age at [`Self::heard`].
    pub advert: PeerAdvert,
    /// The signed form, for passing on.
    pub signed: S,
    /// The peers that passed it on, the first one first; at most [`limits::LEAD_INFORMANTS`]. The
    /// lead counts against the share of the first.
    pub informants: Vec<PeerId>,
    /// When it was received.
    pub heard: Time,
    /// When it is forgotten.
    pub expires: Time,
}

impl<S> Lead<S> {
    /// How old the advert is at `now`.
    pub fn age(&self, now: Time) -> Duration {
        self.advert.age + now.since(self.heard)
    }
}

/// All leads of a node. `S` is the signed form of an advert.
#[derive(Debug)]
pub struct Leads<S> {
    local: PeerId,
    /// At most [`limits::LEADS`], of which [`limits::LEADS_PER_PEER`] through one informant.
    table: FxHashMap<PeerId, Lead<S>>,
}

impl<S> Leads<S> {
    /// An empty table for the node `local`.
    pub fn new(local: PeerId) -> Self {
        Self { local, table: FxHashMap::default() }
    }

    /// Stores an advert with a verified signature that `informant` passed on. Clamps its text and
    /// bounds its life.
    ///
    /// # Errors
    ///
    /// The advert is rejected; the table is unchanged.
    pub fn hear(
        &mut self,
        mut advert: PeerAdvert,
        signed: S,
        informant: PeerId,
        now: Time,
    ) -> Result<(), AdvertRejected> {
        let life = advert.life.min(limits::ADVERT_LIFE);
        if advert.peer == self.local {
            return Err(AdvertRejected::Own);
        }
        if advert.age >= life {
            return Err(AdvertRejected::Expired);
        }
        let expires = now + (life - advert.age);
        match self.table.get(&advert.peer) {
            Some(known) if known.advert.seq >= advert.seq => return Err(AdvertRejected::Old),
            Some(_) => {}
            None => self.make_room(&informant, expires, now)?,
        }
        advert.addresses.truncate(limits::PEER_ADDRESSES);
        advert.advert = advert.advert.clamped();
        let lead = Lead { informants: vec![informant], heard: now, expires, signed, advert };
        self.table.insert(lead.advert.peer, lead);
        Ok(())
    }

    /// Adds an informant to a lead that is known already. `None` if the kept advert is another one,
    /// or if it has enough informants.
    pub fn confirm(&mut self, peer: &PeerId, seq: u64, informant: PeerId) -> Option<&mut Lead<S>> {
        let lead = self.table.get_mut(peer).filter(|lead| lead.advert.seq == seq)?;
        if !lead.informants.contains(&informant) {
            if lead.informants.len() >= limits::LEAD_INFORMANTS {
                return None;
            }
            lead.informants.push(informant);
        }
        Some(lead)
    }

    /// The lead to a peer, unless it has expired.
    pub fn get(&self, peer: &PeerId, now: Time) -> Option<&Lead<S>> {
        self.table.get(peer).filter(|lead| lead.expires > now)
    }

    /// Forgets a lead: the peer is connected, or the dial failed.
    pub fn forget(&mut self, peer: &PeerId) {
        self.table.remove(peer);
    }

    /// All leads that have not expired, unordered.
    pub fn iter(&self, now: Time) -> impl Iterator<Item = &Lead<S>> {
        self.table.values().filter(move |lead| lead.expires > now)
    }

    /// Forgets expired leads. Returns whether there were any.
    pub fn sweep(&mut self, now: Time) -> bool {
        let before = self.table.len();
        self.table.retain(|_, lead| lead.expires > now);
        self.table.len() < before
    }

    /// The number of leads, expired ones included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Makes room for one more lead through `informant`. An informant over its share loses its lead
    /// that expires first; a full table likewise, if that lead expires before the new one.
    fn make_room(
        &mut self,
        informant: &PeerId,
        ends: Time,
        now: Time,
    ) -> Result<(), AdvertRejected> {
        if self.table.len() >= limits::LEADS {
            self.sweep(now);
        }
        let theirs = |lead: &&Lead<S>| lead.informants.first() == Some(informant);
        let share_is_full = self.table.values().filter(theirs).count() >= limits::LEADS_PER_PEER;
        if !share_is_full && self.table.len() < limits::LEADS {
            return Ok(());
        }
        let first = self
            .table
            .values()
            .filter(|lead| !share_is_full || theirs(lead))
            .min_by_key(|lead| (lead.expires, lead.advert.peer))
            .filter(|lead| lead.expires < ends)
            .map(|lead| lead.advert.peer);
        self.table.remove(&first.ok_or(AdvertRejected::NoRoom)?);
        Ok(())
    }
}
