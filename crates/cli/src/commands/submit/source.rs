//! Reads the members of a group from a file of lines, a file of JSON, or ranges of numbers. A file
//! of lines is never in memory as a whole.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use meshwork_api::{MemberSpec, Payload, RangeSpec};
use meshwork_core::limits::INLINE_BYTES;
use tokio::sync::mpsc;

use crate::{
    args::{Array, SubmitArgs},
    failure::Failure,
    output::format,
};

mod elements;
#[cfg(test)]
mod tests;

/// Members in order, up to the first error.
pub(super) type Items = Box<dyn Iterator<Item = Result<MemberSpec, Failure>> + Send>;

/// The source of a group's members.
pub(super) enum Source {
    /// Numbers, one for each member.
    Ranges(Vec<RangeSpec>),
    /// Members from a file or standard input.
    Items(Items),
    /// Members whose inputs another task sends.
    Sent(mpsc::Receiver<Result<MemberSpec, Failure>>),
}

impl Source {
    /// Opens the source that the arguments name.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the file of `--from-json` is not valid.
    pub(super) fn open(args: &SubmitArgs) -> Result<Self, Failure> {
        if let Some(Array(ranges)) = &args.array {
            return Ok(Self::Ranges(ranges.clone()));
        }
        Ok(Self::Items(match (&args.each_line, &args.from_json) {
            (Some(path), _) => Box::new(Lines::of(reader("--each-line", path)?)),
            (None, Some(path)) => elements::read(reader("--from-json", path)?)?,
            (None, None) => return Err(Failure::usage("a group has members")),
        }))
    }
}

fn reader(flag: &str, path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| {
        Failure::usage(format!("{flag}: cannot read {}", path.display())).because(error)
    })?;
    Ok(Box::new(BufReader::new(file)))
}

/// Reads lines, without their line ends.
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
        // The longest line, CR LF, a byte order mark, and one byte to detect a longer line.
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
                .with_hint("that is the largest input of a task; split the line"));
        }
        let input = Some(Payload::of(line));
        Ok(Some(MemberSpec { input, params: BTreeMap::new() }))
    }
}

/// Removes the byte order mark from the first line.
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
