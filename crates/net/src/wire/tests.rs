//! Helpers for the tests of the wire format.

use prost::encoding::encode_varint;

use super::{Decoder, Message, WireError};
use crate::{
    limits,
    protocol::task::{
        decode::{Inbox, to_owner, to_worker},
        encode::Encoder,
        names::Names,
    },
};
use meshwork_core::{ToOwner, ToWorker};

mod golden;
mod golden_blob;
mod golden_links;
mod hostile;
mod packing;
mod reference;
mod round_trip;

fn encode_to_worker(frames: &[ToWorker]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for frame in frames {
        encoder.push_to_worker(frame).unwrap();
    }
    encoder.finish();
    encoder.bytes().to_vec()
}

fn encode_to_owner(frames: &[ToOwner]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for frame in frames {
        encoder.push_to_owner(frame).unwrap();
    }
    encoder.finish();
    encoder.bytes().to_vec()
}

/// Calls `each` with every message of a stream.
fn each_message(
    mut stream: &[u8],
    mut each: impl FnMut(&Message<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut decoder = Decoder::new(limits::TASK_FRAME);
    loop {
        while let Some(message) = decoder.next()? {
            each(&message)?;
        }
        if stream.is_empty() {
            assert!(!decoder.is_partial(), "the stream ends within a message");
            return Ok(());
        }
        let space = decoder.space();
        let count = space.len().min(stream.len());
        space[..count].copy_from_slice(&stream[..count]);
        decoder.advance(count);
        stream = &stream[count..];
    }
}

fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    each_message(stream, |message| {
        all.push(message.bytes().to_vec());
        Ok(())
    })
    .unwrap();
    all
}

fn decode_to_worker(stream: &[u8]) -> Result<Inbox<ToWorker>, WireError> {
    let (mut names, mut inbox) = (Names::default(), Inbox::default());
    each_message(stream, |message| to_worker(message, &mut names, &mut inbox))?;
    Ok(inbox)
}

fn decode_to_owner(stream: &[u8]) -> Result<Inbox<ToOwner>, WireError> {
    let mut inbox = Inbox::default();
    each_message(stream, |message| to_owner(message, &mut inbox))?;
    Ok(inbox)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    encode_varint(message.len() as u64, &mut stream);
    stream.extend_from_slice(message);
    stream
}

/// A field of bytes: its key, its length and the bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(u64::from(number) << 3 | 2, &mut out);
    encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}
