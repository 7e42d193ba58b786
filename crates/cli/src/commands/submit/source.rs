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
use serde::Deserialize;

use crate::{args::SubmitArgs, failure::Failure, limits, output::format};

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
        let items = if flag == "--each-line" { Box::new(Lines::of(file)) } else { json(file)? };
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
        // The longest line, its end, and one byte by which a longer one is told.
        let most = u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX).saturating_add(3);
        let mut line = Vec::new();
        let read = (&mut self.from).take(most).read_until(b'\n', &mut line);
        read.map_err(|error| {
            Failure::usage(format!("--each-line: cannot read line {number}")).because(error)
        })?;
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

/// Elements of an array, or one after the other.
fn json(mut from: Box<dyn BufRead + Send>) -> Result<Items, Failure> {
    let elements: Box<dyn Iterator<Item = serde_json::Result<serde_json::Value>> + Send> =
        if first_byte(&mut from).map_err(|error| no_json(&error))? == Some(b'[') {
            let mut text = Vec::new();
            let read = from.take(limits::JSON_BYTES + 1).read_to_end(&mut text);
            read.map_err(|error| no_json(&error))?;
            if text.len() as u64 > limits::JSON_BYTES {
                let limit = format::size(limits::JSON_BYTES);
                return Err(Failure::usage(format!("--from-json: the array is over {limit}"))
                    .with_hint("write one element after the other, without an array"));
            }
            let array: Vec<serde_json::Value> =
                serde_json::from_slice(&text).map_err(|error| no_json(&error))?;
            Box::new(array.into_iter().map(Ok))
        } else {
            Box::new(serde_json::Deserializer::from_reader(from).into_iter())
        };
    let mut broken = false;
    let members = (1_u64..).zip(elements).map_while(move |(number, element)| {
        // A reader that has lost its place does not find it again.
        let was_broken = std::mem::replace(&mut broken, element.is_err());
        (!was_broken).then(|| member(number, element))
    });
    Ok(Box::new(members))
}

fn first_byte(from: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let waiting = from.fill_buf()?;
        let blank = waiting.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if let Some(byte) = waiting.get(blank) {
            return Ok(Some(*byte));
        }
        if waiting.is_empty() {
            return Ok(None);
        }
        from.consume(blank);
    }
}

fn no_json(error: &dyn std::error::Error) -> Failure {
    Failure::usage("--from-json: this cannot be read").because(error)
}

/// An element that is an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Element {
    #[serde(default)]
    input: Option<Input>,
    #[serde(default)]
    params: BTreeMap<String, String>,
}

/// An input as people write it, or as the API does.
#[derive(Deserialize)]
#[serde(untagged, expecting = "input: neither a text nor {\"base64\": ..}")]
enum Input {
    Text(String),
    Payload(Payload),
}

fn member(
    number: u64,
    element: serde_json::Result<serde_json::Value>,
) -> Result<MemberSpec, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("--from-json: element {number}: {why}")).with_hint(
            "an element is a text, or an object with `input` and `params` (texts by name)",
        )
    };
    let element = element.map_err(|error| wrong(&error))?;
    let Element { input, params } = if let serde_json::Value::String(text) = element {
        Element { input: Some(Input::Text(text)), params: BTreeMap::new() }
    } else if element.is_object() {
        serde_json::from_value(element).map_err(|error| wrong(&error))?
    } else {
        return Err(wrong(&"it is neither a text nor an object"));
    };
    let input = input.map(|input| match input {
        Input::Text(text) => Payload::of(text.into()),
        Input::Payload(payload) => payload,
    });
    let spec = MemberSpec { input, params };
    let bytes = spec.input.clone().map_or(0, |input| input.into_bytes().len());
    if bytes > INLINE_BYTES {
        let limit = format::size(u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX));
        return Err(wrong(&format!("its input is larger than {limit}")));
    }
    Ok(spec)
}
