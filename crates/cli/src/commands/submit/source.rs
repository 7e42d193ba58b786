//! From a file of lines, a file of JSON, or a range of numbers to the members of a group, as many at
//! a time as a request carries. Files of lines are never in memory as a whole.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    iter::Peekable,
    path::Path,
};

use meshwork_api::{BatchMembers, MemberSpec, Payload, RangeSpec};
use meshwork_core::limits::{GROUP_MEMBERS, INLINE_BYTES};

use crate::{args::SubmitArgs, failure::Failure, limits, output::format};

mod elements;
#[cfg(test)]
mod tests;

/// Members for one request.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) members: BatchMembers,
    /// Whether there are no more.
    pub(super) last: bool,
}

type Items = Box<dyn Iterator<Item = Result<MemberSpec, Failure>> + Send>;

/// Where members come from.
pub(super) enum Source {
    /// The numbers from this place on.
    Range { range: RangeSpec, place: u64 },
    /// One after the other.
    Items { items: Peekable<Items>, count: u32 },
}

impl Source {
    /// What the arguments name.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no JSON.
    pub(super) fn open(args: &SubmitArgs) -> Result<Self, Failure> {
        if let Some(range) = args.array {
            return Ok(Self::Range { range, place: 0 });
        }
        let (flag, path) = match (&args.each_line, &args.from_json) {
            (Some(path), _) => ("--each-line", path),
            (None, Some(path)) => ("--from-json", path),
            (None, None) => return Err(Failure::usage("a group has members")),
        };
        let file = reader(flag, path)?;
        let items =
            if flag == "--each-line" { Box::new(Lines::of(file)) } else { elements::read(file)? };
        Ok(Self::of(items))
    }

    fn of(items: Items) -> Self {
        Self::Items { items: items.peekable(), count: 0 }
    }

    /// The next members; none if there are no more.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or is none.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>, Failure> {
        match self {
            Self::Range { range, place } => {
                let most = u64::try_from(limits::BATCH_TASKS).unwrap_or(u64::MAX);
                let Some(part) = range.part(*place, most) else { return Ok(None) };
                *place += part.len();
                let last = *place >= range.len();
                Ok(Some(Chunk { members: BatchMembers::Range(part), last }))
            }
            Self::Items { items, count } => {
                let chunk = chunk(items)?;
                if let Some(chunk) = &chunk {
                    let more = u32::try_from(chunk.members.len()).unwrap_or(u32::MAX);
                    *count = count.saturating_add(more);
                    if *count > GROUP_MEMBERS {
                        let most = format::count(GROUP_MEMBERS.into());
                        return Err(Failure::usage(format!("a group has at most {most} tasks")));
                    }
                }
                Ok(chunk)
            }
        }
    }
}

fn chunk(items: &mut Peekable<Items>) -> Result<Option<Chunk>, Failure> {
    let (mut members, mut bytes) = (Vec::new(), 0);
    while members.len() < limits::BATCH_TASKS {
        match items.peek() {
            Some(Ok(member)) => bytes += weight(member),
            // What comes before an error is not submitted with it: the next chunk is the error.
            Some(Err(_)) if !members.is_empty() => break,
            Some(Err(_)) | None => {}
        }
        if bytes > limits::BATCH_BYTES && !members.is_empty() {
            break;
        }
        match items.next() {
            Some(member) => members.push(member?),
            None => break,
        }
    }
    if members.is_empty() {
        return Ok(None);
    }
    Ok(Some(Chunk { members: BatchMembers::Items(members), last: items.peek().is_none() }))
}

/// At most its bytes in JSON.
fn weight(member: &MemberSpec) -> usize {
    let input = member.input.as_ref().map_or(0, Payload::json_len);
    let params: usize = member.params.iter().map(|(name, value)| name.len() + value.len()).sum();
    input + 6 * params + MEMBER_BYTES
}

/// Bytes of a member in JSON besides its input and parameters.
const MEMBER_BYTES: usize = 64;

fn reader(flag: &str, path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| {
        Failure::usage(format!("{flag}: cannot read {}", path.display())).because(error)
    })?;
    Ok(Box::new(BufReader::new(file)))
}

/// Lines, without their ends.
struct Lines {
    from: Box<dyn BufRead + Send>,
    number: u64,
    ended: bool,
}

impl Lines {
    fn of(from: Box<dyn BufRead + Send>) -> Self {
        Self { from, number: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<MemberSpec>, Failure> {
        self.number += 1;
        let number = self.number;
        // The longest line, its end, a byte order mark, and one byte by which a longer line is known.
        let most = u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX).saturating_add(6);
        let mut line = Vec::new();
        let read = (&mut self.from).take(most).read_until(b'\n', &mut line);
        read.map_err(|error| {
            Failure::usage(format!("--each-line: cannot read line {number}")).because(error)
        })?;
        if number == 1 {
            remove_mark(&mut line)?;
        }
        if line.is_empty() {
            return Ok(None);
        }
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        if line.len() > INLINE_BYTES {
            let limit = format::size(u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX));
            return Err(Failure::usage(format!("line {number} is longer than {limit}"))
                .with_hint("a task carries no more; split the line, or put it into a file"));
        }
        let input = Some(Payload::of(line.into()));
        Ok(Some(MemberSpec { input, params: BTreeMap::new() }))
    }
}

/// Takes the byte order mark off the first line.
fn remove_mark(line: &mut Vec<u8>) -> Result<(), Failure> {
    if line.starts_with(MARK) {
        line.drain(..MARK.len());
    }
    let is_utf16 = line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff");
    if is_utf16 && line.contains(&0) {
        return Err(Failure::usage("--each-line: the file is UTF-16, not UTF-8")
            .with_hint("iconv -f UTF-16 -t UTF-8 FILE | meshwork submit --each-line - HANDLER"));
    }
    Ok(())
}

/// The byte order mark of UTF-8, which some editors put at the start of a file.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Iterator for Lines {
    type Item = Result<MemberSpec, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
