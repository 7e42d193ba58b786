//! Messages of the hello protocol: a node's first message to a peer, and the answer.

use std::collections::BTreeMap;

use meshwork_core::{Advert, Capacity, Reason, advert::clean, limits as core_limits};
use prost::Message as _;

use crate::wire::{
    error::WireError,
    fields::{Fields, Value, map_entry},
    generated as proto,
};

/// The lowest version of the protocols that this program speaks.
pub(crate) const MIN_VERSION: u32 = 1;
/// The highest version of the protocols that this program speaks.
pub(crate) const MAX_VERSION: u32 = 2;

/// What a connection is for. Its dialer says it in the hello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConnectionPurpose {
    /// Everything, blobs included.
    #[default]
    Tasks,
    /// Only blob streams.
    Blobs,
    /// A purpose of a later version.
    Unknown(u32),
}

/// The versions, network and advert of the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Lowest version of the protocols that the sender speaks.
    pub(crate) min_version: u32,
    /// Highest version of the protocols that the sender speaks.
    pub(crate) max_version: u32,
    /// The network's name; [`decode`](Self::decode) cleans it.
    pub(crate) network: String,
    /// Counts the sender's hellos on this connection.
    pub(crate) seq: u64,
    /// What the sender offers the receiver; [`decode`](Self::decode) clamps it.
    pub(crate) advert: Advert,
    /// A random number that the sender draws at each start; 0: not given.
    pub(crate) instance: u64,
    /// The sender has seen that another machine uses the receiver's key.
    pub(crate) copied: bool,
    /// What the connection is for, if the sender dialled it.
    pub(crate) purpose: ConnectionPurpose,
    /// The sender reads `purpose`.
    pub(crate) purposes: bool,
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HelloReply {
    /// The sender of the hello is admitted.
    Admitted,
    /// The sender of the hello is refused.
    Refused(Reason),
}

impl ConnectionPurpose {
    fn from_number(number: u32) -> Self {
        match proto::Purpose::try_from(i32::try_from(number).unwrap_or(i32::MAX)) {
            Ok(proto::Purpose::Tasks) => Self::Tasks,
            Ok(proto::Purpose::Blobs) => Self::Blobs,
            Err(_) => Self::Unknown(number),
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Tasks => proto::Purpose::Tasks.into(),
            Self::Blobs => proto::Purpose::Blobs.into(),
            Self::Unknown(number) => i32::try_from(number).unwrap_or(i32::MAX),
        }
    }
}

impl Hello {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        proto::Hello {
            min_version: self.min_version,
            max_version: self.max_version,
            network: self.network.clone(),
            seq: self.seq,
            advert: Some(advert_message(&self.advert)),
            instance: self.instance,
            copied: self.copied,
            purpose: self.purpose.number(),
            purposes: self.purposes,
        }
        .encode_to_vec()
    }

    /// Decodes a hello. Cuts texts and lists that are too long.
    ///
    /// # Errors
    ///
    /// The bytes are not a hello.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut hello = Self {
            min_version: 0,
            max_version: 0,
            network: String::new(),
            seq: 0,
            advert: Advert::default(),
            instance: 0,
            copied: false,
            purpose: ConnectionPurpose::Tasks,
            purposes: false,
        };
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => hello.min_version = value.number32()?,
                2 => hello.max_version = value.number32()?,
                3 => hello.network = clean(value.text()?),
                4 => hello.seq = value.number()?,
                5 => hello.advert = advert(value.bytes()?)?,
                6 => hello.instance = value.number()?,
                7 => hello.copied = value.number()? != 0,
                8 => hello.purpose = ConnectionPurpose::from_number(value.number32()?),
                9 => hello.purposes = value.number()? != 0,
                _ => {}
            }
        }
        Ok(hello)
    }
}

impl HelloReply {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        use proto::hello_reply::Outcome;
        let outcome = match self {
            Self::Admitted => Outcome::Admitted(proto::Admitted {}),
            Self::Refused(reason) => Outcome::Refused(reason.into()),
        };
        proto::HelloReply { outcome: Some(outcome) }.encode_to_vec()
    }

    /// Decodes an answer. An unknown outcome counts as a refusal.
    ///
    /// # Errors
    ///
    /// The bytes are not an answer.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        use proto::hello_reply::Outcome;
        Ok(match proto::HelloReply::decode(message)?.outcome {
            Some(Outcome::Admitted(_)) => Self::Admitted,
            Some(Outcome::Refused(reason)) => Self::Refused(reason.into()),
            None => Self::Refused(Reason::Unsupported {
                what: "an unknown answer to the hello".to_owned(),
            }),
        })
    }
}

pub(crate) fn advert_message(advert: &Advert) -> proto::Advert {
    proto::Advert {
        name: advert.name.clone(),
        handlers: advert.handlers.iter().map(ToString::to_string).collect(),
        capabilities: advert.capabilities.iter().cloned().collect(),
        labels: advert.labels.clone(),
        slots: advert.capacity.slots,
        cpus: advert.capacity.cpus,
        memory_bytes: advert.capacity.memory_bytes,
        gpus: advert.capacity.gpus,
    }
}

/// Decodes an advert by hand, so that no more of a long list is built than is kept (S-10).
pub(crate) fn advert(message: &[u8]) -> Result<Advert, WireError> {
    let mut advert = Advert::default();
    let mut capacity = Capacity::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => advert.name = clean(value.text()?),
            2 => {
                // A later version may allow names that are invalid here.
                if let Ok(handler) = value.text()?.parse()
                    && advert.handlers.len() < core_limits::ADVERT_HANDLERS
                {
                    advert.handlers.insert(handler);
                }
            }
            3 => {
                let capability = value.text()?;
                if advert.capabilities.len() < core_limits::LABELS {
                    advert.capabilities.insert(clean(capability));
                }
            }
            4 => label(value, &mut advert.labels)?,
            5 => capacity.slots = value.number32()?,
            6 => capacity.cpus = value.number32()?,
            7 => capacity.memory_bytes = value.number()?,
            8 => capacity.gpus = value.number32()?,
            _ => {}
        }
    }
    advert.capacity = capacity;
    Ok(advert.clamped())
}

fn label(entry: Value<'_>, labels: &mut BTreeMap<String, String>) -> Result<(), WireError> {
    let (name, value) = map_entry(entry.bytes()?)?;
    if labels.len() < core_limits::LABELS {
        labels.insert(clean(name), clean(value));
    }
    Ok(())
}
