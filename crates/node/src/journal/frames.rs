//! Records as they stand one behind the other, in a segment of the journal and in a file of the
//! archive: each with its length, its time and a checksum.

use meshwork_core::{Time, engine::Record};

use super::{Timed, codec};

/// Before each record: the length of what follows the checksum (4 bytes), the checksum (4), and when
/// the record was made, in milliseconds since 1970 (8), which is part of what is summed.
pub(super) const HEAD: usize = 16;
/// Of these, the part that is not summed.
pub(super) const UNSUMMED: usize = 8;

/// When a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// How long the node had been up, over all its starts. Only ends and results keep it.
    pub(super) up: Time,
}

/// Now, as records note it.
pub(super) fn now(up: Time) -> Stamp {
    Stamp { at: meshwork_net::clock::time_of_day().timestamp_millis(), up }
}

/// Appends a record.
pub(super) fn append(segment: &mut Vec<u8>, stamp: Stamp, record: &Record) {
    let start = segment.len();
    segment.extend([0; UNSUMMED]);
    segment.extend(stamp.at.to_le_bytes());
    codec::encode(record, stamp.up, segment);
    let summed = segment.get(start + UNSUMMED..).unwrap_or_default();
    // Far below 4 GiB: a task is at most 1 MiB, and so is a result.
    let length = u32::try_from(summed.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = crc32fast::hash(summed).to_le_bytes();
    if let Some(head) = segment.get_mut(start..start + UNSUMMED) {
        for (to, from) in head.iter_mut().zip(length.into_iter().chain(sum)) {
            *to = from;
        }
    }
}

/// Hands over the records of a segment with their times; none for one that is damaged. False if the
/// segment's end is.
pub(super) fn records(mut segment: &[u8], mut each: impl FnMut(Option<Timed>)) -> bool {
    while !segment.is_empty() {
        let Some((length, after)) = segment.split_first_chunk::<4>() else { return false };
        let Some((sum, after)) = after.split_first_chunk::<4>() else { return false };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((summed, after)) = after.split_at_checked(length) else { return false };
        let whole = crc32fast::hash(summed) == u32::from_le_bytes(*sum);
        each(whole.then(|| timed(summed)).flatten());
        segment = after;
    }
    true
}

/// A record with its length in the segment, and what is behind it.
type First<'s> = (usize, Record, &'s [u8]);

/// The first record with its length and what is behind it; none if it is damaged, or there is none.
pub(super) fn first(segment: &[u8]) -> Option<First<'_>> {
    let (length, after) = segment.split_first_chunk::<4>()?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    let (summed, rest) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let is_whole = crc32fast::hash(summed) == u32::from_le_bytes(*sum);
    let (_, record) = is_whole.then(|| timed(summed)).flatten()?;
    Some((segment.len() - rest.len(), record, rest))
}

/// A record from what its checksum is about.
pub(super) fn timed(summed: &[u8]) -> Option<Timed> {
    let (at, body) = summed.split_first_chunk::<{ HEAD - UNSUMMED }>()?;
    let (up, record) = codec::decode(body)?;
    Some((Stamp { at: i64::from_le_bytes(*at), up }, record))
}
