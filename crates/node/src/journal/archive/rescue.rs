//! Reads a damaged file: each task whose records are whole, even if its row, the names or the foot
//! are damaged.
//!
//! A row says where the records of its task are. Between the places of whole rows, records are read
//! one after the other; they belong to tasks whose rows are damaged.

use std::{io, path::Path};

use meshwork_core::{TaskId, engine::Record};

use super::{super::frames, file};
use crate::clock::Clock;

/// A task whose records are whole.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Rescued {
    pub(in crate::journal) id: TaskId,
    /// The task's number in the file, from 0.
    pub(super) at: u32,
    /// The task's records, framed as in the journal.
    pub(in crate::journal) records: Vec<u8>,
}

/// The readable tasks of a file, and the number of all its tasks as far as it is known.
pub(super) fn rescue(path: &Path, clock: &Clock) -> io::Result<(Vec<Rescued>, u64)> {
    let Some(mut file) = file::open(path)? else { return Ok((Vec::new(), 0)) };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes)?;
    let mut places = file::rows_in(&bytes, clock);
    places.sort_by_key(|place| place.offset);
    let (mut tasks, mut end, mut next_at) = (Vec::new(), file::START, 0);
    for place in &places {
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let between = bytes.get(end..start).unwrap_or_default();
        tasks.extend(in_order(between, next_at, clock));
        end = start.saturating_add(place.length as usize);
        next_at = place.row.at.saturating_add(1);
        let records = bytes.get(start..end).unwrap_or_default();
        if file::is_task(records, place.row.id, clock) {
            let records = records.to_vec();
            tasks.push(Rescued { id: place.row.id, at: place.row.at, records });
        }
    }
    let behind = bytes.get(end..).unwrap_or_default();
    let last = in_order(behind, next_at, clock);
    let found = places.len() + last.len();
    tasks.extend(last);
    let written = file::rows_by_foot(path)?;
    let all = written.unwrap_or(0).max(found as u64).max(tasks.len() as u64);
    Ok((tasks, all))
}

/// Tasks from consecutive records, up to the first damaged one.
fn in_order(mut bytes: &[u8], first: u32, clock: &Clock) -> Vec<Rescued> {
    let mut tasks = Vec::new();
    for at in first.. {
        let Some((one, record, rest)) = frames::first(bytes) else { break };
        let Some((two, _, rest)) = frames::first(rest) else { break };
        let Record::Submitted { task, .. } = record else { break };
        let Some(records) = bytes.get(..one + two) else { break };
        if !file::is_task(records, task.id, clock) {
            break;
        }
        tasks.push(Rescued { id: task.id, at, records: records.to_vec() });
        bytes = rest;
    }
    tasks
}
