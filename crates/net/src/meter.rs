//! Traffic counters: messages by kind, bytes by protocol, and message sizes.
//!
//! Sessions count a batch of frames in a [`Tally`] and add it to the shared [`Meter`] once, so that
//! a frame costs one increment and no lock or look-up.
//!
//! Absent on purpose: metric names and labels (the node's metrics collector), and libp2p's own
//! protocols, whose streams this crate does not see.

use std::{
    array,
    mem::take,
    sync::atomic::{AtomicU64, Ordering},
};

use meshwork_core::{NetworkProtocol, ToOwner, ToWorker};

#[cfg(test)]
mod tests;

/// The kinds of messages that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Kind {
    Assign,
    Cancel,
    Ack,
    Resume,
    HandBack,
    Credit,
    Accepted,
    Busy,
    Refused,
    Unsupported,
    Progress,
    Result,
    Heartbeat,
    Started,
    Hello,
    HelloReply,
    Query,
    Peers,
    ResourceReport,
    ResourceQuestion,
    ResourceOther,
    Echo,
    Echoed,
    HealthReport,
    HealthOther,
    BlobRequest,
    BlobPiece,
    BlobRefusal,
}

use NetworkProtocol::{DiscoveryProtocol, HealthProtocol, ResourceProtocol, TaskProtocol};

/// Protocol and name of each [`Kind`], in the order of the variants.
const KINDS: [(NetworkProtocol, &str); 28] = [
    (TaskProtocol, "assign"),
    (TaskProtocol, "cancel"),
    (TaskProtocol, "ack"),
    (TaskProtocol, "resume"),
    (TaskProtocol, "hand_back"),
    (TaskProtocol, "credit"),
    (TaskProtocol, "accepted"),
    (TaskProtocol, "busy"),
    (TaskProtocol, "refused"),
    (TaskProtocol, "unsupported"),
    (TaskProtocol, "progress"),
    (TaskProtocol, "result"),
    (TaskProtocol, "heartbeat"),
    (TaskProtocol, "started"),
    (DiscoveryProtocol, "hello"),
    (DiscoveryProtocol, "hello_reply"),
    (DiscoveryProtocol, "query"),
    (DiscoveryProtocol, "peers"),
    (ResourceProtocol, "report"),
    (ResourceProtocol, "question"),
    (ResourceProtocol, "refusal"),
    (HealthProtocol, "echo"),
    (HealthProtocol, "echoed"),
    (HealthProtocol, "report"),
    (HealthProtocol, "refusal"),
    (TaskProtocol, "blob_request"),
    (TaskProtocol, "blob_piece"),
    (TaskProtocol, "blob_refusal"),
];

/// Protocol and name of each kind of message, in the order of [`Flow::messages`].
pub fn message_kinds() -> impl Iterator<Item = (NetworkProtocol, &'static str)> {
    KINDS.into_iter()
}

/// Number of size classes: class n holds messages of 2^(n-1) to 2^n - 1 bytes; the largest frame is
/// below 2^21 bytes.
const CLASSES: usize = 22;

impl Kind {
    pub(crate) fn of_to_worker(frame: &ToWorker) -> Self {
        match frame {
            ToWorker::Assign(_) => Self::Assign,
            ToWorker::Cancel(_) => Self::Cancel,
            ToWorker::Ack(_) => Self::Ack,
            ToWorker::Resume(_) => Self::Resume,
            ToWorker::HandBack(_) => Self::HandBack,
        }
    }

    pub(crate) fn of_to_owner(frame: &ToOwner) -> Self {
        match frame {
            ToOwner::Credit(_) => Self::Credit,
            ToOwner::Accepted(_) => Self::Accepted,
            ToOwner::Started(_) => Self::Started,
            ToOwner::Busy { .. } => Self::Busy,
            ToOwner::Refused { .. } => Self::Refused,
            ToOwner::Unsupported { .. } => Self::Unsupported,
            ToOwner::Progress { .. } => Self::Progress,
            ToOwner::Result { .. } => Self::Result,
            ToOwner::Heartbeat { .. } => Self::Heartbeat,
        }
    }
}

/// The counts of one batch of messages. A usual batch holds one or two kinds of one size.
#[derive(Debug)]
pub(crate) struct Tally {
    kinds: [u32; KINDS.len()],
    /// Bit set of the kinds whose count is not 0.
    some_kinds: u32,
    /// Count and bytes of each size class.
    sizes: [(u32, u64); CLASSES],
    /// Bit set of the size classes whose count is not 0.
    some_sizes: u32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { kinds: [0; KINDS.len()], some_kinds: 0, sizes: [(0, 0); CLASSES], some_sizes: 0 }
    }
}

impl Tally {
    /// Counts one message of this kind.
    pub(crate) fn kind(&mut self, kind: Kind) {
        if let Some(count) = self.kinds.get_mut(kind as usize) {
            *count += 1;
            self.some_kinds |= 1 << kind as u32;
        }
    }

    /// Counts one framed message of this size.
    pub(crate) fn size(&mut self, bytes: usize) {
        let class = ((usize::BITS - bytes.leading_zeros()) as usize).min(CLASSES - 1);
        if let Some((count, sum)) = self.sizes.get_mut(class) {
            *count += 1;
            *sum += bytes as u64;
            self.some_sizes |= 1 << class;
        }
    }
}

/// The counters of one direction.
#[derive(Debug)]
pub(crate) struct Side {
    kinds: [AtomicU64; KINDS.len()],
    bytes: [AtomicU64; NetworkProtocol::ALL.len()],
    /// Count and bytes, by protocol and size class.
    sizes: [[(AtomicU64, AtomicU64); CLASSES]; NetworkProtocol::ALL.len()],
}

impl Default for Side {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            kinds: array::from_fn(zero),
            bytes: array::from_fn(zero),
            sizes: array::from_fn(|_| array::from_fn(|_| Default::default())),
        }
    }
}

impl Side {
    /// Adds a batch of one protocol, and resets `tally`.
    pub(crate) fn add(&self, protocol: NetworkProtocol, tally: &mut Tally) {
        for at in bits(take(&mut tally.some_kinds)) {
            if let (Some(total), Some(count)) = (self.kinds.get(at), tally.kinds.get_mut(at)) {
                total.fetch_add(take(count).into(), Ordering::Relaxed);
            }
        }
        let Some(sizes) = self.sizes.get(protocol.index()) else { return };
        for at in bits(take(&mut tally.some_sizes)) {
            if let (Some((count, sum)), Some(counted)) = (sizes.get(at), tally.sizes.get_mut(at)) {
                let (messages, bytes) = take(counted);
                count.fetch_add(messages.into(), Ordering::Relaxed);
                sum.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Adds one framed message.
    pub(crate) fn one(&self, kind: Kind, bytes: usize) {
        let Some((protocol, _)) = KINDS.get(kind as usize) else { return };
        let mut tally = Tally::default();
        tally.kind(kind);
        tally.size(bytes);
        self.add(*protocol, &mut tally);
    }

    /// Counts bytes on the streams of a protocol.
    pub(crate) fn bytes(&self, protocol: NetworkProtocol, bytes: usize) {
        if let Some(total) = self.bytes.get(protocol.index()) {
            total.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    fn snapshot(&self) -> Flow {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let messages = KINDS.iter().zip(&self.kinds);
        let sizes = NetworkProtocol::ALL.into_iter().zip(&self.sizes);
        Flow {
            messages: messages.map(|((protocol, kind), n)| (*protocol, *kind, get(n))).collect(),
            bytes: NetworkProtocol::ALL
                .into_iter()
                .zip(&self.bytes)
                .map(|(protocol, bytes)| (protocol, get(bytes)))
                .collect(),
            sizes: sizes
                .flat_map(|(protocol, classes)| {
                    classes.iter().map(move |(count, sum)| SizeClass {
                        protocol,
                        messages: get(count),
                        bytes: get(sum),
                    })
                })
                .collect(),
        }
    }
}

/// The positions of the bits that are set, the lowest first.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (lowest < u32::BITS).then_some(lowest as usize)
    })
}

// The bit sets of a `Tally` have room for all kinds and classes.
const _: () = assert!(KINDS.len() <= u32::BITS as usize && CLASSES <= u32::BITS as usize);

/// The counters of both directions.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) sent: Side,
    pub(crate) received: Side,
}

impl Meter {
    /// The current counts. Each is read separately, so they may be slightly inconsistent.
    pub(crate) fn snapshot(&self) -> NetTraffic {
        NetTraffic { sent: self.sent.snapshot(), received: self.received.snapshot() }
    }
}

/// Traffic of Meshwork's own protocols since the start of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetTraffic {
    /// Traffic that this node has sent.
    pub sent: Flow,
    /// Traffic that this node has received.
    pub received: Flow,
}

/// The traffic of one direction. Every snapshot has the same entries in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Number of messages by protocol and kind. In the task protocol each frame counts, even if
    /// several share one framed message.
    pub messages: Vec<(NetworkProtocol, &'static str, u64)>,
    /// Bytes on streams by protocol, with framing and without encryption.
    pub bytes: Vec<(NetworkProtocol, u64)>,
    /// Framed messages by protocol and size.
    pub sizes: Vec<SizeClass>,
}

/// Framed messages of similar size: the largest has less than twice the bytes of the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// The protocol of the messages.
    pub protocol: NetworkProtocol,
    /// Number of messages.
    pub messages: u64,
    /// Total bytes of the messages, without their length prefixes.
    pub bytes: u64,
}
