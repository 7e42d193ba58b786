//! Divides the members of a group into requests: as many as fit, and none waits longer than
//! [`limits::LINGER`].

use std::{collections::VecDeque, thread};

use meshwork_api::{BatchMembers, MemberSpec, Payload, RangeSpec, limits::MADE_BYTES};
use meshwork_core::limits::GROUP_MEMBERS;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::source::{Items, Source};
use crate::{exit, failure::Failure, limits, output::format};

#[cfg(test)]
mod tests;

/// Members for one request.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The index of the first member in the group.
    pub(super) first: u32,
    pub(super) members: BatchMembers,
    /// Whether this is the last chunk.
    pub(super) last: bool,
}

/// The chunks of a group, in order.
pub(super) enum Chunks {
    Ranges { ranges: VecDeque<RangeSpec>, place: u64, first: u32, most: usize },
    Items(Read),
}

impl Chunks {
    /// Reads `source` on a separate thread, so that Ctrl-C works while a user types lines. The node
    /// copies `each` bytes of the common parts of the task for each member.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(super) fn of(source: Source, each: usize) -> Result<Self, Failure> {
        let most = MADE_BYTES.checked_div(each).unwrap_or(usize::MAX);
        let most = most.clamp(1, limits::BATCH_TASKS);
        let items = match source {
            Source::Ranges(ranges) => {
                return Ok(Self::Ranges { ranges: ranges.into(), place: 0, first: 0, most });
            }
            Source::Sent(items) => {
                return Ok(Self::Items(Read { items, held: None, first: 0, unended: None, most }));
            }
            Source::Items(items) => items,
        };
        let (sender, read) = mpsc::channel(limits::READ_AHEAD);
        let run = move || forward(items, &sender);
        let thread = thread::Builder::new().name("submit-source".to_owned()).spawn(run);
        thread.map_err(|error| {
            Failure::new(exit::FAILED, "failed", "cannot start a thread").because(error)
        })?;
        Ok(Self::Items(Read { items: read, held: None, first: 0, unended: None, most }))
    }

    /// The next members, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The source cannot be read, or contains an invalid member or too many members.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        match self {
            Self::Ranges { ranges, place, first, most } => {
                Ok(of_ranges(ranges, place, first, *most))
            }
            Self::Items(read) => read.next().await,
        }
    }

    /// Reads to the end and returns the number of members, `known` of which were read before.
    ///
    /// # Errors
    ///
    /// [`Self::next`] fails.
    pub(super) async fn count(mut self, mut known: u64) -> Result<u64, Failure> {
        while let Some(chunk) = self.next().await? {
            known = u64::from(chunk.first).saturating_add(chunk.members.len());
        }
        Ok(known)
    }
}

fn of_ranges(
    ranges: &mut VecDeque<RangeSpec>,
    place: &mut u64,
    first: &mut u32,
    most: usize,
) -> Option<Chunk> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let range = *ranges.front()?;
    let part = range.part(*place, most)?;
    *place += part.len();
    if *place >= range.len() {
        *place = 0;
        ranges.pop_front();
    }
    let chunk =
        Chunk { first: *first, members: BatchMembers::Range(part), last: ranges.is_empty() };
    *first = first.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
    Some(chunk)
}

fn forward(items: Items, sender: &mpsc::Sender<Result<MemberSpec, Failure>>) {
    for item in items {
        let failed = item.is_err();
        if sender.blocking_send(item).is_err() || failed {
            return;
        }
    }
}

/// The members of a file.
pub(super) struct Read {
    items: mpsc::Receiver<Result<MemberSpec, Failure>>,
    /// A member that was read already and begins the next chunk.
    held: Option<Result<MemberSpec, Failure>>,
    /// The index of the next member.
    first: u32,
    /// The last member of a chunk without `last`. At the end it is sent again, with `last`.
    unended: Option<MemberSpec>,
    /// The largest number of members in a chunk.
    most: usize,
}

impl Read {
    async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        let member = match self.held.take() {
            Some(held) => held?,
            None => match self.items.recv().await {
                Some(item) => item?,
                None => return Ok(self.end()),
            },
        };
        let end = Instant::now() + limits::LINGER;
        let mut bytes = weight(&member);
        let mut members = vec![member];
        let last = loop {
            let next = match timeout_at(end, self.items.recv()).await {
                Err(_) => break false,
                Ok(None) => break true,
                Ok(Some(next)) => next,
            };
            bytes += next.as_ref().map_or(0, weight);
            match next {
                Ok(member) if bytes <= limits::BATCH_BYTES && members.len() < self.most => {
                    members.push(member);
                }
                // Members before an error are submitted; the error follows.
                next => {
                    self.held = Some(next);
                    break false;
                }
            }
        };
        let first = self.first;
        self.first = first.saturating_add(u32::try_from(members.len()).unwrap_or(u32::MAX));
        if self.first > GROUP_MEMBERS {
            let most = format::count(GROUP_MEMBERS.into());
            return Err(Failure::usage(format!("a group has at most {most} tasks")));
        }
        self.unended = if last { None } else { members.last().cloned() };
        Ok(Some(Chunk { first, members: BatchMembers::Items(members), last }))
    }

    /// Repeats the last member with `last`, if the node does not know yet that the source has ended.
    fn end(&mut self) -> Option<Chunk> {
        let member = self.unended.take()?;
        let first = self.first.checked_sub(1)?;
        Some(Chunk { first, members: BatchMembers::Items(vec![member]), last: true })
    }
}

/// Upper bound of a member's size in JSON, in bytes.
fn weight(member: &MemberSpec) -> usize {
    let input = member.input.as_ref().map_or(0, Payload::json_len);
    let params: usize = member.params.iter().map(|(name, value)| name.len() + value.len()).sum();
    input + 6 * params + MEMBER_BYTES
}

/// Size of a member in JSON without its input and parameters, in bytes.
const MEMBER_BYTES: usize = 64;
