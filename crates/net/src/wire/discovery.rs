//! Adverts as they are passed on, signed by their subjects, and the question and answer that carry
//! them.
//!
//! Absent on purpose: whether an advert is news, and whom to tell of it.

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

use super::{
    WireError,
    decode::map_entry,
    fields::{Fields, Value},
    generated as proto, hello,
    reason::millis,
};
use crate::{address, limits};

/// What stands before the payload in the bytes that are signed, so that a signature means nothing
/// anywhere else.
const DOMAIN: &[u8] = b"meshwork-advert-1:";
/// The code of a multihash that is what it stands for. Peer ids of Ed25519 keys are of this form.
const IDENTITY: u64 = 0;

/// An advert as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedAdvert {
    /// Its subject.
    pub(crate) peer: PeerId,
    /// What the subject has signed; at most [`limits::ADVERT_PAYLOAD`] bytes.
    payload: Bytes,
    signature: Bytes,
    /// How long ago it was signed, as far as is known.
    pub(crate) age: Duration,
}

/// Whom the sender knows, and whom it looks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DiscoveryRequest {
    /// At most [`limits::ADVERTS`].
    pub(crate) known: Vec<SignedAdvert>,
    /// As it arrived: what is wrong with it is for the answer.
    pub(crate) query: Option<Result<PeerQuery, InvalidQuery>>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiscoveryReply {
    /// Those that match; at most [`limits::ADVERTS`].
    Known(Vec<SignedAdvert>),
    /// The request was refused.
    Refused(Reason),
}

impl SignedAdvert {
    /// Signs what the owner of `key` says of itself. Of what does not fit, handlers are dropped
    /// first, then labels, then capabilities, the last of each first.
    ///
    /// # Errors
    ///
    /// The key cannot sign.
    pub(crate) fn sign(
        key: &Keypair,
        network: &str,
        said: PeerAdvert,
    ) -> Result<Self, SigningError> {
        let mut advert = said.advert.clamped();
        let mut message = public_message(network, said.seq, said.life, &said.addresses);
        message.advert = Some(hello::advert_message(&advert));
        while message.encoded_len() > limits::ADVERT_PAYLOAD && shorten(&mut advert) {
            message.advert = Some(hello::advert_message(&advert));
        }
        let payload = Bytes::from(message.encode_to_vec());
        let signature = key.sign(&signed_bytes(&payload))?.into();
        Ok(Self { peer: key.public().to_peer_id(), payload, signature, age: said.age })
    }

    /// Whether its subject has signed it.
    pub(crate) fn is_genuine(&self) -> bool {
        key_of(&self.peer)
            .is_some_and(|key| key.verify(&signed_bytes(&self.payload), &self.signature))
    }

    /// What it says, and in which network. Lists and texts that are too long are cut.
    ///
    /// # Errors
    ///
    /// The payload is not an advert.
    pub(crate) fn open(&self) -> Result<(String, PeerAdvert), WireError> {
        let mut network = String::new();
        let mut said = PeerAdvert {
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
                2 => said.seq = value.number()?,
                3 => {
                    let life = Duration::from_millis(value.number()?);
                    said.life = life.min(core_limits::ADVERT_LIFE);
                }
                4 => {
                    let bytes = value.bytes()?;
                    if said.addresses.len() < limits::PEER_ADDRESSES {
                        said.addresses.extend(told_address(bytes, &self.peer));
                    }
                }
                5 => said.advert = hello::advert(value.bytes()?)?,
                _ => {}
            }
        }
        Ok((network, said))
    }

    /// The same, as it is passed on when it is so old.
    pub(crate) fn aged(&self, age: Duration) -> Self {
        Self { age, ..self.clone() }
    }

    fn message(&self) -> proto::HeardAdvert {
        proto::HeardAdvert {
            peer: self.peer.to_bytes().into(),
            payload: self.payload.clone(),
            signature: self.signature.clone(),
            age_ms: millis(self.age),
        }
    }

    fn decode(message: &[u8]) -> Result<Self, WireError> {
        let (mut peer, mut payload, mut signature, mut age) = (&[][..], &[][..], &[][..], 0);
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => peer = value.bytes()?,
                2 => payload = value.bytes()?,
                3 => signature = value.bytes()?,
                4 => age = value.number()?,
                _ => {}
            }
        }
        if payload.len() > limits::ADVERT_PAYLOAD {
            let length = payload.len() as u64;
            return Err(WireError::TooLarge { length, limit: limits::ADVERT_PAYLOAD });
        }
        let peer = PeerId::from_bytes(peer).map_err(|_| WireError::Malformed("peer id"))?;
        Ok(Self {
            peer,
            payload: Bytes::copy_from_slice(payload),
            signature: Bytes::copy_from_slice(signature),
            age: Duration::from_millis(age),
        })
    }
}

impl DiscoveryRequest {
    /// The message's bytes, without the length before them. What the receiver cannot know (latency,
    /// state) is not asked.
    pub(crate) fn encode(&self) -> Vec<u8> {
        proto::DiscoveryRequest {
            known: self.known.iter().map(SignedAdvert::message).collect(),
            query: self.query.as_ref().and_then(|query| query.as_ref().ok()).map(query_message),
        }
        .encode_to_vec()
    }

    /// The request in these bytes.
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
    /// The message's bytes, without the length before them. Nobody is told as `not_found`, because
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

    /// The answer in these bytes.
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

/// Drops one entry; false if there is none.
fn shorten(advert: &mut Advert) -> bool {
    advert.handlers.pop_last().is_some()
        || advert.labels.pop_last().is_some()
        || advert.capabilities.pop_last().is_some()
}

fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    [DOMAIN, payload].concat()
}

/// The Ed25519 key that a peer id contains; ids of other kinds cannot be verified.
fn key_of(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    (key.key_type() == KeyType::Ed25519).then_some(key)
}

/// An address of `peer`, without `/p2p/…`. One of a form that is not understood may be one of a
/// later version, and is left out.
fn told_address(bytes: &[u8], peer: &PeerId) -> Option<Multiaddr> {
    let told = Multiaddr::try_from(bytes.to_vec()).ok()?;
    let parts = address::parts(&told).ok()?;
    parts.peer.is_none_or(|named| named == *peer).then(|| address::without_peer(&told))
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
    }
}

/// The outer error is a violation, the inner one a question that makes no sense.
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
                Err(_) => invalid = wrong("handler", "not a handler's name".to_owned()),
            },
            3 => {
                let (name, value) = map_entry(value.bytes()?)?;
                if query.labels.len() < core_limits::LABELS {
                    query.labels.insert(name.to_owned(), value.to_owned());
                } else {
                    invalid = wrong("labels", format!("at most {}", core_limits::LABELS));
                }
            }
            4 => query.free_cpus = value.number()? as f32 / 1_000.0,
            5 => query.free_memory_bytes = value.number()?,
            6 => query.limit = usize::try_from(value.number32()?).unwrap_or(usize::MAX),
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

/// An empty text is an absent one.
fn is_asked(text: &&str) -> bool {
    !text.is_empty()
}

#[cfg(test)]
mod tests;
