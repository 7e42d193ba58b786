//! The peer book: where other nodes were met, so that a start finds them again.
//!
//! A text, one peer on a line: its id, when it was last ready in seconds since 1970, its addresses, and
//! what it called itself, as `name=` with `%` escapes;
//! the first line names the format and the network. It is a memory and no record: what cannot be
//! understood is left out, and nothing of it keeps a node from starting. Only what this node has
//! itself met is in it, and each address is judged anew when it is read. Absent on purpose: the file
//! (`home`), when it is written (`keeper`), and dialling (`meshwork-net`).

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use meshwork_core::{Multiaddr, PeerId, advert::clean};
use meshwork_net::{Remembered, limits as net_limits};

use crate::{clock::Clock, limits};

pub(crate) mod keeper;

/// First words of the file: what it is, and in which form.
const FORMAT: &str = "meshwork-peers 1";

/// Why a book is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BookError {
    #[error("it is larger than any that a node writes")]
    TooLong,
    #[error("it does not begin as a list of peers does")]
    NotABook,
    #[error("it is of the network {0:?}")]
    OtherNetwork(String),
}

/// What a node remembers of others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Book {
    network: String,
    /// At most [`net_limits::REMEMBERED_PEERS`]; what is read has them after [`Self::trim`].
    peers: BTreeMap<PeerId, Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// When it was last ready, in seconds since 1970.
    seen: u64,
    /// The best first; at most [`net_limits::REMEMBERED_ADDRESSES`]. A trusted peer that only dialled this
    /// node may have none.
    addresses: Vec<Multiaddr>,
    /// What it called itself; may be empty.
    name: String,
}

/// A peer that was ready at `seen`, in seconds since 1970, and was found, or can be, at `addresses`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met<'a> {
    pub(crate) peer: PeerId,
    pub(crate) seen: u64,
    pub(crate) addresses: &'a [Multiaddr],
    /// What it calls itself; empty where that is not known.
    pub(crate) name: &'a str,
}

impl Book {
    /// One in which there is nobody.
    pub(crate) fn new(network: &str) -> Self {
        Self { network: network.to_owned(), peers: BTreeMap::new() }
    }

    /// Reads one, at `now` in seconds since 1970; and how many lines of it were not understood.
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
                    // Nobody was met in the future, whatever the clock said then.
                    let entry = Entry { seen: entry.seen.min(now), ..entry };
                    book.peers.entry(peer).or_insert(entry);
                }
                None => bad += 1,
            }
        }
        Ok((book, bad))
    }

    /// Whether this peer is in it.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Whether one more peer takes the place of another.
    pub(crate) fn is_full(&self) -> bool {
        self.peers.len() >= net_limits::REMEMBERED_PEERS
    }

    /// The text of it, which [`Self::parse`] reads.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{FORMAT} {}\n", self.network);
        for (peer, entry) in &self.peers {
            // Writing to a text does not fail.
            write!(text, "{peer} {}", entry.seen).ok();
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

    /// Notes who was met. True if the book says something else than before; a time that is later by
    /// less than `grain` seconds is nothing else.
    pub(crate) fn note(&mut self, met: &Met<'_>, trusted: &HashSet<PeerId>, grain: u64) -> bool {
        let Met { peer, seen, addresses, name } = *met;
        let old = self.peers.get(&peer);
        let known = old.map_or(&[][..], |entry| &entry.addresses);
        let all = usable(&peer, addresses.iter().chain(known));
        let before = old.map_or(0, |entry| entry.seen);
        let old_name = old.map_or("", |entry| entry.name.as_str());
        let name = if name.is_empty() { old_name } else { name }.to_owned();
        let is_same =
            known == all && name == old_name && seen.saturating_sub(before) < grain.max(1);
        let is_of_use = !all.is_empty() || trusted.contains(&peer);
        if !is_of_use || is_same || (old.is_none() && !self.make_room(peer, seen, trusted)) {
            return false;
        }
        self.peers.insert(peer, Entry { seen: seen.max(before), addresses: all, name });
        true
    }

    /// Removes a peer. True if it was there.
    pub(crate) fn forget(&mut self, peer: &PeerId) -> bool {
        self.peers.remove(peer).is_some()
    }

    /// Whether there is room for one more, in the place of one that is less worth if need be. Peers
    /// that are all there do not push each other out.
    fn make_room(&mut self, peer: PeerId, seen: u64, trusted: &HashSet<PeerId>) -> bool {
        if self.peers.len() < net_limits::REMEMBERED_PEERS {
            return true;
        }
        let Some((is_trusted, last, least)) = self.order(trusted).into_iter().next() else {
            return true;
        };
        let least_worth = (is_trusted, last.saturating_add(limits::BOOK_GRAIN));
        if (trusted.contains(&peer), seen) <= least_worth {
            return false;
        }
        self.peers.remove(&least);
        true
    }

    /// Forgets whom this node has not met for long, and who is too many. True if there were any.
    pub(crate) fn trim(&mut self, now: u64, trusted: &HashSet<PeerId>) -> bool {
        let before = self.peers.len();
        self.peers.retain(|_, entry| now.saturating_sub(entry.seen) < limits::BOOK_LIFE);
        let surplus = self.peers.len().saturating_sub(net_limits::REMEMBERED_PEERS);
        for (_, _, peer) in self.order(trusted).into_iter().take(surplus) {
            self.peers.remove(&peer);
        }
        self.peers.len() < before
    }

    /// Who is forgotten first: those that are not trusted, the longest unseen of them first.
    fn order(&self, trusted: &HashSet<PeerId>) -> Vec<(bool, u64, PeerId)> {
        let all = self.peers.iter();
        let mut order: Vec<_> =
            all.map(|(peer, entry)| (trusted.contains(peer), entry.seen, *peer)).collect();
        order.sort_unstable();
        order
    }

    /// Whom to dial at the start, the last met first; those that are trusted until they are there.
    pub(crate) fn remembered(&self, trusted: &HashSet<PeerId>, clock: Clock) -> Vec<Remembered> {
        let mut order: Vec<_> = self.peers.iter().collect();
        order.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.seen));
        let known = order.into_iter().filter_map(|(peer, entry)| {
            let known = Remembered::new(*peer, &entry.addresses, trusted.contains(peer))?;
            let millis = i64::try_from(entry.seen.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Some(known.last_met(&entry.name, clock.time(millis)))
        });
        known.collect()
    }
}

/// `PEER SECONDS ADDRESS… name=NAME`, or `-` in place of the addresses
fn parse_line(line: &str) -> Option<(PeerId, Entry)> {
    let mut words = line.split(' ');
    let peer: PeerId = words.next()?.parse().ok()?;
    let seen = words.next()?.parse().ok()?;
    let (mut addresses, mut nowhere, mut name) = (Vec::new(), false, String::new());
    for word in words.take(WORDS) {
        match word.strip_prefix(NAME) {
            Some(escaped) => name = clean(&unescaped(escaped)?),
            None if word == NOWHERE => nowhere = true,
            None => addresses.push(word.parse().ok()?),
        }
    }
    let addresses = usable(&peer, &addresses);
    (nowhere || !addresses.is_empty()).then_some((peer, Entry { seen, addresses, name }))
}

/// Stands in place of an address where none is known.
const NOWHERE: &str = "-";

/// What a name begins with.
const NAME: &str = "name=";

/// The text with `%` and two hexadecimal digits for each byte that is no letter or digit.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            write!(out, "%{byte:02X}").ok();
        }
        out
    })
}

/// The text that [`escaped`] was given; none if it is malformed.
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

/// Those that may be remembered, each once, as many as there is room for.
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

/// Whether a text shows as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Addresses of one line that are looked at; those beyond are left out.
const WORDS: usize = 4 * net_limits::REMEMBERED_ADDRESSES;

#[cfg(test)]
mod tests;
