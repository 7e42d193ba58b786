//! The peer book: the addresses of peers that this node has met, so that a start finds them again.
//!
//! A text file. The first line names the format and the network; each other line describes a peer:
//! its id, the time when it was last ready in seconds since 1970, its addresses, and the name it
//! gave itself, as `name=` with `%` escapes. Unreadable lines are left out, and an unusable file
//! does not keep a node from starting. Only peers that this node itself has met are in the book,
//! and each address is checked again when it is read.
//!
//! Absent on purpose: the file (`home`), the times of writing (`keeper`), and dialling
//! (`meshwork-net`).

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use meshwork_core::{Multiaddr, PeerId, advert::clean};
use meshwork_net::{Remembered, limits as net_limits};

use crate::{clock::Clock, limits};

pub(crate) mod keeper;

/// The first words of the file: its format.
const FORMAT: &str = "meshwork-peers 1";

/// Why a peer book is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BookError {
    #[error("it has more than {} bytes", limits::BOOK_FILE)]
    TooLong,
    #[error("its first line is not that of a peer book")]
    NotABook,
    #[error("it belongs to the network {0:?}")]
    OtherNetwork(String),
}

/// The peers that a node remembers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Book {
    network: String,
    /// At most [`net_limits::REMEMBERED_PEERS`]; after [`Self::parse`] only once [`Self::trim`] has
    /// run.
    peers: BTreeMap<PeerId, Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Time when the peer was last ready, in seconds since 1970.
    ready_at: u64,
    /// At most [`net_limits::REMEMBERED_ADDRESSES`], the best first. Empty for a trusted peer that
    /// only ever dialled this node.
    addresses: Vec<Multiaddr>,
    /// The name that the peer gave itself; may be empty.
    name: String,
}

/// A meeting with a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting<'a> {
    pub(crate) peer: PeerId,
    /// Time when the peer was ready, in seconds since 1970.
    pub(crate) ready_at: u64,
    /// Addresses at which the peer was or can be reached.
    pub(crate) addresses: &'a [Multiaddr],
    /// The name that the peer gave itself; empty if unknown.
    pub(crate) name: &'a str,
}

impl Book {
    /// An empty book.
    pub(crate) fn new(network: &str) -> Self {
        Self { network: network.to_owned(), peers: BTreeMap::new() }
    }

    /// Reads a book at `now`, in seconds since 1970. Also returns the number of unreadable lines.
    pub(crate) fn parse(text: &str, network: &str, now: u64) -> Result<(Self, usize), BookError> {
        if text.len() > limits::BOOK_FILE {
            return Err(BookError::TooLong);
        }
        let mut lines = text.lines();
        let first = lines.next().filter(|line| is_plain(line)).ok_or(BookError::NotABook)?;
        let named = first.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix(' '));
        let named = named.ok_or(BookError::NotABook)?;
        if named != network {
            let named = named.chars().take(net_limits::NETWORK_NAME).collect();
            return Err(BookError::OtherNetwork(named));
        }
        let mut book = Self::new(network);
        let mut bad = 0;
        for line in lines {
            match parse_line(line) {
                Some((peer, entry)) => {
                    // A time in the future comes from a clock that was wrong.
                    let entry = Entry { ready_at: entry.ready_at.min(now), ..entry };
                    book.peers.entry(peer).or_insert(entry);
                }
                None => bad += 1,
            }
        }
        Ok((book, bad))
    }

    /// Whether the book contains this peer.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Whether another peer would replace one in the book.
    pub(crate) fn is_full(&self) -> bool {
        self.peers.len() >= net_limits::REMEMBERED_PEERS
    }

    /// The text of the book, for [`Self::parse`].
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{FORMAT} {}\n", self.network);
        for (peer, entry) in &self.peers {
            // Writing to a string does not fail.
            write!(text, "{peer} {}", entry.ready_at).ok();
            for address in &entry.addresses {
                write!(text, " {address}").ok();
            }
            if entry.addresses.is_empty() {
                write!(text, " {NOWHERE}").ok();
            }
            if !entry.name.is_empty() {
                write!(text, " {NAME}{}", escaped(&entry.name)).ok();
            }
            text.push('\n');
        }
        text
    }

    /// Adds or updates a peer. True if the book has changed; a time that is later by less than
    /// `grain` seconds is no change.
    pub(crate) fn note(
        &mut self,
        meeting: &Meeting<'_>,
        trusted: &HashSet<PeerId>,
        grain: u64,
    ) -> bool {
        let Meeting { peer, ready_at, addresses, name } = *meeting;
        let old = self.peers.get(&peer);
        let old_addresses = old.map_or(&[][..], |entry| &entry.addresses);
        let all = usable(&peer, addresses.iter().chain(old_addresses));
        let before = old.map_or(0, |entry| entry.ready_at);
        let old_name = old.map_or("", |entry| entry.name.as_str());
        let name = if name.is_empty() { old_name } else { name }.to_owned();
        let is_same = old_addresses == all
            && name == old_name
            && ready_at.saturating_sub(before) < grain.max(1);
        let is_of_use = !all.is_empty() || trusted.contains(&peer);
        if !is_of_use || is_same || (old.is_none() && !self.make_room(peer, ready_at, trusted)) {
            return false;
        }
        self.peers.insert(peer, Entry { ready_at: ready_at.max(before), addresses: all, name });
        true
    }

    /// Removes a peer. True if the book contained it.
    pub(crate) fn forget(&mut self, peer: &PeerId) -> bool {
        self.peers.remove(peer).is_some()
    }

    /// Makes room for another peer, if need be by removing one of less value. False if there is
    /// none; so peers that are all connected do not replace each other.
    fn make_room(&mut self, peer: PeerId, ready_at: u64, trusted: &HashSet<PeerId>) -> bool {
        if self.peers.len() < net_limits::REMEMBERED_PEERS {
            return true;
        }
        let Some((is_trusted, last, least)) = self.order(trusted).into_iter().next() else {
            return true;
        };
        let least_worth = (is_trusted, last.saturating_add(limits::BOOK_GRAIN));
        if (trusted.contains(&peer), ready_at) <= least_worth {
            return false;
        }
        self.peers.remove(&least);
        true
    }

    /// Removes peers that were not met for [`limits::BOOK_LIFE`], and peers beyond the bound. True
    /// if any were removed.
    pub(crate) fn trim(&mut self, now: u64, trusted: &HashSet<PeerId>) -> bool {
        let before = self.peers.len();
        self.peers.retain(|_, entry| now.saturating_sub(entry.ready_at) < limits::BOOK_LIFE);
        let surplus = self.peers.len().saturating_sub(net_limits::REMEMBERED_PEERS);
        for (_, _, peer) in self.order(trusted).into_iter().take(surplus) {
            self.peers.remove(&peer);
        }
        self.peers.len() < before
    }

    /// The peers in the order of their removal: untrusted ones first, then by the time last ready.
    fn order(&self, trusted: &HashSet<PeerId>) -> Vec<(bool, u64, PeerId)> {
        let all = self.peers.iter();
        let mut order: Vec<_> =
            all.map(|(peer, entry)| (trusted.contains(peer), entry.ready_at, *peer)).collect();
        order.sort_unstable();
        order
    }

    /// The peers to dial at the start, the last met first. Trusted ones are dialled until they are
    /// connected.
    pub(crate) fn remembered(&self, trusted: &HashSet<PeerId>, clock: Clock) -> Vec<Remembered> {
        let mut order: Vec<_> = self.peers.iter().collect();
        order.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.ready_at));
        let peers = order.into_iter().filter_map(|(peer, entry)| {
            let remembered = Remembered::new(*peer, &entry.addresses, trusted.contains(peer))?;
            let millis = i64::try_from(entry.ready_at.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Some(remembered.last_met(&entry.name, clock.time(millis)))
        });
        peers.collect()
    }
}

/// Parses `PEER SECONDS ADDRESS… name=NAME`, or with `-` in place of the addresses.
fn parse_line(line: &str) -> Option<(PeerId, Entry)> {
    let mut words = line.split(' ');
    let peer: PeerId = words.next()?.parse().ok()?;
    let ready_at = words.next()?.parse().ok()?;
    let (mut addresses, mut nowhere, mut name) = (Vec::new(), false, String::new());
    for word in words.take(WORDS) {
        match word.strip_prefix(NAME) {
            Some(escaped) => name = clean(&unescaped(escaped)?),
            None if word == NOWHERE => nowhere = true,
            None => addresses.push(word.parse().ok()?),
        }
    }
    let addresses = usable(&peer, &addresses);
    (nowhere || !addresses.is_empty()).then_some((peer, Entry { ready_at, addresses, name }))
}

/// In place of addresses if none is known.
const NOWHERE: &str = "-";

/// The prefix of a name.
const NAME: &str = "name=";

/// Escapes each byte except ASCII letters, digits, `-`, `_` and `.` as `%` and two hexadecimal
/// digits.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            write!(out, "%{byte:02X}").ok();
        }
        out
    })
}

/// Reverses [`escaped`]; none if the text is malformed.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

/// The addresses that may be remembered, without duplicates, up to the bound.
fn usable<'a>(peer: &PeerId, addresses: impl IntoIterator<Item = &'a Multiaddr>) -> Vec<Multiaddr> {
    let mut usable = Vec::new();
    for address in addresses {
        if usable.len() >= net_limits::REMEMBERED_ADDRESSES {
            break;
        }
        let text = address.to_string();
        let is_short = text.len() <= limits::BOOK_ADDRESS && is_plain(&text) && !text.contains(' ');
        if is_short && Remembered::takes(peer, address) && !usable.contains(address) {
            usable.push(address.clone());
        }
    }
    usable
}

/// Whether a text is printable ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Maximum words of a line behind the time; further ones are ignored.
const WORDS: usize = 4 * net_limits::REMEMBERED_ADDRESSES;

#[cfg(test)]
mod tests;
