//! Framing of records in a segment of the journal and in a volume of the archive: each record has a
//! length, a time and a checksum.

use meshwork_core::{Time, engine::Record};

use super::codec;

/// Bytes before each record: the length of the bytes behind the checksum (4), the checksum (4), and
/// the record's time in milliseconds since 1970 (8), which the checksum covers.
pub(super) const HEAD: usize = 16;
/// Bytes of the head that the checksum does not cover.
pub(super) const UNSUMMED: usize = 8;

/// A record and the time of its creation.
pub(super) type Timed = (Stamp, Record);

/// The time of a record's creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// The node's uptime over all its starts. Only records of ends and results store it.
    pub(super) up: Time,
}

/// The stamp of a record that is created now.
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

/// Calls `each` with every record of a segment and its time, or with `None` for a damaged record.
/// False if the segment's end is damaged.
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

/// Length of a record in the segment, the record, and the bytes behind it.
type First<'s> = (usize, Record, &'s [u8]);

/// The first record of a segment; none if it is damaged or the segment is empty.
pub(super) fn first(segment: &[u8]) -> Option<First<'_>> {
    let (length, after) = segment.split_first_chunk::<4>()?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    let (summed, rest) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let is_whole = crc32fast::hash(summed) == u32::from_le_bytes(*sum);
    let (_, record) = is_whole.then(|| timed(summed)).flatten()?;
    Some((segment.len() - rest.len(), record, rest))
}

/// Decodes a record from the bytes that its checksum covers.
pub(super) fn timed(summed: &[u8]) -> Option<Timed> {
    let (at, body) = summed.split_first_chunk::<{ HEAD - UNSUMMED }>()?;
    let (up, record) = codec::decode(body)?;
    Some((Stamp { at: i64::from_le_bytes(*at), up }, record))
}
