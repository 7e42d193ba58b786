//! Peers by hearsay: adverts that others passed on, kept until they expire.
//!
//! An advert is signed by its subject, numbered and short-lived, so whoever passes it on can
//! withhold it, or pretend that it is younger than it is, but cannot make one up or bring an old one
//! back. It is a lead, not a fact: shown as live only after contact.
//!
//! Absent on purpose: signatures, which are checked before an advert comes here, and dials.

use std::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use rustc_hash::FxHashMap;

use crate::{advert::Advert, limits, time::Time};

#[cfg(test)]
mod tests;

/// What a node says of itself to everybody.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerAdvert {
    /// Who it is.
    pub peer: PeerId,
    /// Rises with every advert of this peer, also over its restarts.
    pub seq: u64,
    /// How long ago it was made, as far as is known: each who passes it on adds the time that it
    /// had it.
    pub age: Duration,
    /// How long it counts from its making on, at most [`limits::ADVERT_LIFE`].
    pub life: Duration,
    /// Where it listens; at most [`limits::PEER_ADDRESSES`].
    pub addresses: Vec<Multiaddr>,
    /// What it offers to anyone.
    pub advert: Advert,
}

/// Why an advert was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// It is about this node itself.
    #[error("it is about this node itself")]
    Own,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It is not newer than what is known.
    #[error("a later one is known")]
    Old,
    /// The table is full of adverts that live longer, or of those of the same informant.
    #[error("there is no room for it")]
    NoRoom,
}

/// An advert that was heard.
#[derive(Clone, Debug)]
pub struct Lead<S> {
    /// What the subject says; its age as of [`Self::heard`].
    pub advert: PeerAdvert,
    /// The signed form, to be passed on.
    pub signed: S,
    /// The peers that passed it on, the first one first; at most [`limits::LEAD_INFORMANTS`]. The
    /// lead counts against the share of the first.
    pub informants: Vec<PeerId>,
    /// When it was heard.
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

/// All leads. `S` is the signed form of an advert.
#[derive(Debug)]
pub struct Leads<S> {
    local: PeerId,
    /// At most [`limits::LEADS`], of which [`limits::LEADS_PER_PEER`] through one informant.
    table: FxHashMap<PeerId, Lead<S>>,
}

impl<S> Leads<S> {
    /// No leads yet, of the node `local`.
    pub fn new(local: PeerId) -> Self {
        Self { local, table: FxHashMap::default() }
    }

    /// Takes an advert whose signature is good, passed on by `informant`. Its text is clamped and
    /// its life bounded here.
    ///
    /// # Errors
    ///
    /// Why it is not taken; nothing has changed then.
    pub fn hear(
        &mut self,
        mut advert: PeerAdvert,
        signed: S,
        informant: PeerId,
        now: Time,
    ) -> Result<(), Unheard> {
        let life = advert.life.min(limits::ADVERT_LIFE);
        if advert.peer == self.local {
            return Err(Unheard::Own);
        }
        if advert.age >= life {
            return Err(Unheard::Expired);
        }
        let expires = now + (life - advert.age);
        match self.table.get(&advert.peer) {
            Some(known) if known.advert.seq >= advert.seq => return Err(Unheard::Old),
            Some(_) => {}
            None => self.make_room(&informant, expires, now)?,
        }
        advert.addresses.truncate(limits::PEER_ADDRESSES);
        advert.advert = advert.advert.clamped();
        let lead = Lead { informants: vec![informant], heard: now, expires, signed, advert };
        self.table.insert(lead.advert.peer, lead);
        Ok(())
    }

    /// Another peer passes on an advert that is known already: it becomes one of its informants.
    /// None if that is not the advert that is kept, or if it has informants enough.
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

    /// The lead to a peer, if there is one and it has not expired.
    pub fn get(&self, peer: &PeerId, now: Time) -> Option<&Lead<S>> {
        self.table.get(peer).filter(|lead| lead.expires > now)
    }

    /// Forgets a peer: it is known better, or the lead led nowhere.
    pub fn forget(&mut self, peer: &PeerId) {
        self.table.remove(peer);
    }

    /// All leads that have not expired, in no order.
    pub fn iter(&self, now: Time) -> impl Iterator<Item = &Lead<S>> {
        self.table.values().filter(move |lead| lead.expires > now)
    }

    /// Forgets what has expired. Whether anything had.
    pub fn sweep(&mut self, now: Time) -> bool {
        let before = self.table.len();
        self.table.retain(|_, lead| lead.expires > now);
        self.table.len() < before
    }

    /// How many are kept, expired or not.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Sees to it that one more through `informant` fits: an informant over its share loses its own
    /// lead that ends first, and so does the table, if that ends before the new one.
    fn make_room(&mut self, informant: &PeerId, ends: Time, now: Time) -> Result<(), Unheard> {
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
        self.table.remove(&first.ok_or(Unheard::NoRoom)?);
        Ok(())
    }
}
