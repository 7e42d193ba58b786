//! Signed adverts, and the request and reply that carry them.
//!
//! Absent on purpose: which adverts are new, and which peers receive them.

use std::time::Duration;

use bytes::Bytes;
use libp2p::{
    Multiaddr, PeerId,
    identity::{KeyType, Keypair, PublicKey, SigningError},
};
use meshwork_core::{
    Advert, PeerQuery, Reason,
    advert::clean,
    discovery::{InvalidQuery, leads::PeerAdvert},
    limits as core_limits,
};
use prost::Message as _;

use crate::{
    address, lan, limits,
    protocol::hello::wire as hello,
    wire::{
        error::WireError,
        fields::{Fields, Value, map_entry},
        generated as proto,
        reason::millis,
    },
};

/// Prefix of the signed bytes of an advert, so that the signature is valid in no other context.
const DOMAIN: &[u8] = b"meshwork-advert-1:";
/// Prefix of the signed bytes of a private address.
const ADDRESS_DOMAIN: &[u8] = b"meshwork-address-1:";
/// Code of the identity multihash, which contains its input: the form of peer ids of Ed25519 keys.
const IDENTITY: u64 = 0;

/// An advert with the signature of its subject, in the form that peers pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedAdvert {
    /// The subject of the advert.
    pub(crate) peer: PeerId,
    /// The signed bytes; at most [`limits::ADVERT_PAYLOAD`].
    payload: Bytes,
    signature: Bytes,
    /// The time since the signature, according to the peers that passed the advert on.
    pub(crate) age: Duration,
    /// Private addresses: all in this node's own advert, at most [`limits::PRIVATE_ADDRESSES`] in
    /// an encoded one.
    private: Vec<SignedAddress>,
}

/// A private address of an advert's subject. It has a separate signature, so that peers outside its
/// range can receive the advert without it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SignedAddress {
    address: Multiaddr,
    signature: Bytes,
}

/// An advert or private address that this alleged subject has not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has not signed the advert or address in its name")]
pub(crate) struct Forged(pub(crate) PeerId);

/// A request: adverts of the peers that the sender knows, and a query for others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DiscoveryRequest {
    /// At most [`limits::ADVERTS`].
    pub(crate) known: Vec<SignedAdvert>,
    /// The query of the sender. An invalid query is kept as the error for the answer.
    pub(crate) query: Option<Result<PeerQuery, InvalidQuery>>,
}

/// The answer to a [`DiscoveryRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiscoveryReply {
    /// The adverts that match; at most [`limits::ADVERTS`].
    Known(Vec<SignedAdvert>),
    /// The request was refused.
    Refused(Reason),
}

impl SignedAdvert {
    /// Signs `content`, and each private address separately. If the advert is too large, drops
    /// handlers, then labels, then capabilities, the last of each first.
    ///
    /// # Errors
    ///
    /// Signing with the key fails.
    pub(crate) fn sign(
        key: &Keypair,
        network: &str,
        content: PeerAdvert,
    ) -> Result<Self, SigningError> {
        let mut advert = content.advert.clamped();
        let (private, public): (Vec<_>, Vec<_>) = content
            .addresses
            .into_iter()
            .partition(|address| address::ip_of(address).is_some_and(lan::is_private));
        let mut message = public_message(network, content.seq, content.life, &public);
        message.advert = Some(hello::advert_message(&advert));
        while message.encoded_len() > limits::ADVERT_PAYLOAD && shorten(&mut advert) {
            message.advert = Some(hello::advert_message(&advert));
        }
        let payload = Bytes::from(message.encode_to_vec());
        let signature: Bytes = key.sign(&signed_bytes(&payload))?.into();
        let sign = |address: Multiaddr| {
            let signature = key.sign(&address_bytes(&signature, &address))?.into();
            Ok::<_, SigningError>(SignedAddress { address, signature })
        };
        let private = private.into_iter().map(sign).collect::<Result<_, _>>()?;
        Ok(Self { peer: key.public().to_peer_id(), payload, signature, age: content.age, private })
    }

    /// Whether the subject has signed the advert. Private addresses are verified separately, see
    /// [`Self::has_genuine_addresses`].
    pub(crate) fn is_genuine(&self) -> bool {
        key_of(&self.peer)
            .is_some_and(|key| key.verify(&signed_bytes(&self.payload), &self.signature))
    }

    /// Whether the subject has signed each private address, for this very advert.
    pub(crate) fn has_genuine_addresses(&self) -> bool {
        let signed = |key: &PublicKey, private: &SignedAddress| {
            let bytes = address_bytes(&self.signature, &private.address);
            key.verify(&bytes, &private.signature)
        };
        self.private.is_empty()
            || key_of(&self.peer)
                .is_some_and(|key| self.private.iter().all(|private| signed(&key, private)))
    }

    /// The advert with the private addresses of another advert, whose signatures do not fit.
    #[cfg(test)]
    pub(crate) fn with_addresses_of(self, other: &Self) -> Self {
        Self { private: other.private.clone(), ..self }
    }

    /// The private addresses of the advert.
    pub(crate) fn private(&self) -> impl Iterator<Item = &Multiaddr> {
        self.private.iter().map(|private| &private.address)
    }

    /// Drops the private addresses for which `keep` is false.
    pub(crate) fn retain_private(&mut self, keep: impl Fn(&Multiaddr) -> bool) {
        self.private.retain(|private| keep(&private.address));
    }

    /// Adds the private addresses of another copy of the same advert, up to the bound. Does nothing
    /// if `other` is a different advert.
    ///
    /// # Errors
    ///
    /// The subject has not signed one of the new addresses; none is added.
    pub(crate) fn merge_private(&mut self, mut other: Self) -> Result<(), Forged> {
        if self.signature != other.signature {
            return Ok(());
        }
        other.private.retain(|private| !self.private.contains(private));
        other.private.truncate(limits::PRIVATE_ADDRESSES.saturating_sub(self.private.len()));
        if !other.has_genuine_addresses() {
            return Err(Forged(self.peer));
        }
        self.private.append(&mut other.private);
        Ok(())
    }

    /// Decodes the network and the content of the advert. Private addresses come last. Cuts lists
    /// and texts that are too long.
    ///
    /// # Errors
    ///
    /// The payload is not an advert.
    pub(crate) fn open(&self) -> Result<(String, PeerAdvert), WireError> {
        let mut network = String::new();
        let mut content = PeerAdvert {
            peer: self.peer,
            seq: 0,
            age: self.age,
            life: Duration::ZERO,
            addresses: Vec::new(),
            advert: Advert::default(),
        };
        let mut fields = Fields::of(&self.payload);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => network = clean(value.text()?),
                2 => content.seq = value.number()?,
                3 => {
                    let life = Duration::from_millis(value.number()?);
                    content.life = life.min(core_limits::ADVERT_LIFE);
                }
                4 => {
                    let bytes = value.bytes()?;
                    if content.addresses.len() < limits::PEER_ADDRESSES {
                        content.addresses.extend(parse_address(bytes, &self.peer));
                    }
                }
                5 => content.advert = hello::advert(value.bytes()?)?,
                _ => {}
            }
        }
        content.addresses.extend(self.private().cloned());
        Ok((network, content))
    }

    /// The advert with this age.
    pub(crate) fn aged(&self, age: Duration) -> Self {
        Self { age, ..self.clone() }
    }

    fn message(&self) -> proto::HeardAdvert {
        proto::HeardAdvert {
            peer: self.peer.to_bytes().into(),
            payload: self.payload.clone(),
            signature: self.signature.clone(),
            age_ms: millis(self.age),
            private: self
                .private
                .iter()
                .take(limits::PRIVATE_ADDRESSES)
                .map(|private| proto::SignedAddress {
                    address: private.address.to_vec().into(),
                    signature: private.signature.clone(),
                })
                .collect(),
        }
    }

    fn decode(message: &[u8]) -> Result<Self, WireError> {
        let (mut peer, mut payload, mut signature, mut age) = (&[][..], &[][..], &[][..], 0);
        let mut private = Vec::new();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => peer = value.bytes()?,
                2 => payload = value.bytes()?,
                3 => signature = value.bytes()?,
                4 => age = value.number()?,
                5 if private.len() >= limits::PRIVATE_ADDRESSES => {
                    let limit = limits::PRIVATE_ADDRESSES;
                    return Err(WireError::TooMany { what: "private addresses", limit });
                }
                5 => private.push(value.bytes()?),
                _ => {}
            }
        }
        if payload.len() > limits::ADVERT_PAYLOAD {
            let length = payload.len() as u64;
            return Err(WireError::TooLarge { length, limit: limits::ADVERT_PAYLOAD });
        }
        let peer = PeerId::from_bytes(peer).map_err(|_| WireError::Malformed("peer id"))?;
        let mut addresses = Vec::with_capacity(private.len());
        for message in private {
            addresses.extend(SignedAddress::decode(message, &peer)?);
        }
        Ok(Self {
            private: addresses,
            peer,
            payload: Bytes::copy_from_slice(payload),
            signature: Bytes::copy_from_slice(signature),
            age: Duration::from_millis(age),
        })
    }
}

impl SignedAddress {
    /// Decodes a private address. `None` if the address has an unknown form or is not private.
    fn decode(message: &[u8], peer: &PeerId) -> Result<Option<Self>, WireError> {
        let (mut address, mut signature) = (&[][..], &[][..]);
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => address = value.bytes()?,
                2 => signature = value.bytes()?,
                _ => {}
            }
        }
        let parsed = parse_address(address, peer);
        let private = parsed.filter(|parsed| {
            parsed.to_vec() == address && address::ip_of(parsed).is_some_and(lan::is_private)
        });
        let signature = Bytes::copy_from_slice(signature);
        Ok(private.map(|address| Self { address, signature }))
    }
}

impl DiscoveryRequest {
    /// The message's bytes, without the length prefix. Leaves out the parts of the query that the
    /// receiver cannot know (latency, state).
    pub(crate) fn encode(&self) -> Vec<u8> {
        proto::DiscoveryRequest {
            known: self.known.iter().map(SignedAdvert::message).collect(),
            query: self.query.as_ref().and_then(|query| query.as_ref().ok()).map(query_message),
        }
        .encode_to_vec()
    }

    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// The bytes are not a request.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut request = Self { known: Vec::new(), query: None };
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => push_advert(&mut request.known, value)?,
                2 => request.query = Some(query(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(request)
    }
}

impl DiscoveryReply {
    /// The message's bytes, without the length prefix. An empty list becomes `not_found`, because
    /// no message may be empty.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (known, refused) = match self {
            Self::Known(known) if known.is_empty() => {
                (Vec::new(), Some((&Reason::NotFound).into()))
            }
            Self::Known(known) => (known.iter().map(SignedAdvert::message).collect(), None),
            Self::Refused(reason) => (Vec::new(), Some(reason.into())),
        };
        proto::DiscoveryReply { known, refused }.encode_to_vec()
    }

    /// Decodes an answer.
    ///
    /// # Errors
    ///
    /// The bytes are not an answer.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let (mut known, mut refused) = (Vec::new(), None);
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => push_advert(&mut known, value)?,
                2 => refused = Some(proto::Reason::decode(value.bytes()?)?.into()),
                _ => {}
            }
        }
        Ok(refused.map_or(Self::Known(known), Self::Refused))
    }
}

fn public_message(
    network: &str,
    seq: u64,
    life: Duration,
    addresses: &[Multiaddr],
) -> proto::PublicAdvert {
    let addresses = addresses.iter().take(limits::PEER_ADDRESSES);
    proto::PublicAdvert {
        network: network.to_owned(),
        seq,
        life_ms: millis(life),
        addresses: addresses.map(|address| address.to_vec().into()).collect(),
        advert: None,
    }
}

/// Drops one entry; false if no entry is left.
fn shorten(advert: &mut Advert) -> bool {
    advert.handlers.pop_last().is_some()
        || advert.labels.pop_last().is_some()
        || advert.capabilities.pop_last().is_some()
}

fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    [DOMAIN, payload].concat()
}

/// The signed bytes of a private address. The advert's signature in them binds the address to the
/// advert's network, number and lifetime.
fn address_bytes(advert_signature: &[u8], address: &Multiaddr) -> Vec<u8> {
    [ADDRESS_DOMAIN, advert_signature, &address.to_vec()].concat()
}

/// The Ed25519 key in a peer id; `None` for other ids, whose signatures cannot be verified.
fn key_of(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    (key.key_type() == KeyType::Ed25519).then_some(key)
}

/// An address of `peer`, without `/p2p/…`. `None` if it names another peer or has an unknown form,
/// perhaps of a later version.
fn parse_address(bytes: &[u8], peer: &PeerId) -> Option<Multiaddr> {
    let parsed = Multiaddr::try_from(bytes.to_vec()).ok()?;
    let parts = address::parts(&parsed).ok()?;
    parts.peer.is_none_or(|named| named == *peer).then(|| address::without_peer(&parsed))
}

fn push_advert(known: &mut Vec<SignedAdvert>, value: Value<'_>) -> Result<(), WireError> {
    if known.len() >= limits::ADVERTS {
        return Err(WireError::TooMany { what: "adverts", limit: limits::ADVERTS });
    }
    known.push(SignedAdvert::decode(value.bytes()?)?);
    Ok(())
}

fn query_message(query: &PeerQuery) -> proto::PeerQuery {
    proto::PeerQuery {
        capability: query.capability.clone().unwrap_or_default(),
        handler: query.handler.as_ref().map(ToString::to_string).unwrap_or_default(),
        labels: query.labels.clone(),
        free_cpus_milli: (query.free_cpus * 1_000.0).round() as u64,
        free_memory_bytes: query.free_memory_bytes,
        limit: u32::try_from(query.limit.min(limits::ADVERTS)).unwrap_or(u32::MAX),
        peer: query.peer.map(|peer| peer.to_bytes().into()).unwrap_or_default(),
    }
}

/// Decodes a query. The outer error is a violation, the inner one an invalid query, which is
/// refused.
fn query(message: &[u8]) -> Result<Result<PeerQuery, InvalidQuery>, WireError> {
    let wrong = |field, why: String| Some(InvalidQuery { field, why });
    let mut query = PeerQuery { limit: 0, ..PeerQuery::default() };
    let mut invalid = None;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => query.capability = Some(value.text()?).filter(is_asked).map(str::to_owned),
            2 => match Some(value.text()?).filter(is_asked).map(str::parse).transpose() {
                Ok(handler) => query.handler = handler,
                Err(_) => invalid = wrong("handler", "not a handler name".to_owned()),
            },
            3 => {
                let (name, value) = map_entry(value.bytes()?)?;
                if query.labels.len() < core_limits::LABELS {
                    query.labels.insert(name.to_owned(), value.to_owned());
                } else {
                    let most = core_limits::LABELS;
                    invalid = wrong("labels", format!("at most {most} are allowed"));
                }
            }
            4 => query.free_cpus = value.number()? as f32 / 1_000.0,
            5 => query.free_memory_bytes = value.number()?,
            6 => query.limit = usize::try_from(value.number32()?).unwrap_or(usize::MAX),
            7 => match PeerId::from_bytes(value.bytes()?) {
                Ok(peer) => query.peer = Some(peer),
                Err(_) => invalid = wrong("peer", "not a peer id".to_owned()),
            },
            _ => {}
        }
    }
    if query.limit > limits::ADVERTS {
        invalid = wrong("limit", format!("{}; from 1 to {}", query.limit, limits::ADVERTS));
    }
    Ok(match invalid.map_or_else(|| query.check(), Err) {
        Ok(()) => Ok(query),
        Err(invalid) => Err(invalid),
    })
}

/// Whether a text field is set: an empty text counts as absent.
fn is_asked(text: &&str) -> bool {
    !text.is_empty()
}

#[cfg(test)]
mod tests;
