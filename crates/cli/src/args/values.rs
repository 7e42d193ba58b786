//! Parsers of flag values. Each error says what a valid value looks like.

use std::{ffi::OsString, time::Duration};

use clap::builder::{OsStringValueParser, TypedValueParser};
use meshwork_api::{GroupState, RangeSpec, TaskState};
use meshwork_core::{
    Accept, AcceptPolicy, Durability, PeerId,
    limits::{GROUP_MEMBERS, MAX_TIME_LIMIT},
};

/// Maximum size of kept results. One task may take up to 1 MiB; with a smaller limit a task could
/// be forgotten before its submitter reads it.
pub(crate) fn kept_bytes(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 4 << 20;
    let size = bytes(text)?;
    if size < LEAST {
        return Err("must be at least 4MiB, because one result may take 1MiB".to_owned());
    }
    Ok(size)
}

/// A name or id: of a task, a group, a peer, a handler, or a key. Never empty.
pub(crate) fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty; check that the shell variable is set".to_owned());
    }
    Ok(text.to_owned())
}

/// A word of any bytes, such as a path. Never empty.
pub(crate) fn word() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|word| match word.to_str().map(name) {
        Some(Err(why)) => Err(why),
        Some(Ok(_)) | None => Ok(word),
    })
}

/// A state of a task. The node refuses unknown words.
pub(crate) fn task_state(text: &str) -> Result<TaskState, String> {
    name(text).map(|word| word.as_str().into())
}

/// A state of a group. The node refuses unknown words.
pub(crate) fn group_state(text: &str) -> Result<GroupState, String> {
    name(text).map(|word| word.as_str().into())
}

/// A peer id, or an address that ends with one.
pub(crate) fn peer_id(text: &str) -> Result<PeerId, String> {
    let typed = text.trim().trim_end_matches('/');
    let id = typed.rsplit_once("/p2p/").map_or(typed, |(_, id)| id);
    id.parse().map_err(|_| {
        format!(
            "{typed:?} is not a complete peer id such as 12D3KooW…; to print it on that node: \
             meshwork status --quiet"
        )
    })
}

/// A size: `512`, `64KiB`, `1.5GiB`, `2GB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size: write it like 512MiB or 2GB");
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * factor as f64;
    if bytes.is_finite() && bytes < MAX_FRACTIONAL {
        Ok(bytes.round() as u64)
    } else {
        Err(wrong())
    }
}

/// Larger values cannot represent fractions of a byte: one pebibyte.
const MAX_FRACTIONAL: f64 = (1_u64 << 50) as f64;

/// A time above zero: `500ms`, `30s`, `1h 5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be above zero; omit the flag for the default".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("{text:?} is not a time: write it like 500ms, 30s or 2h")),
    }
}

/// A time limit of a task, from a millisecond to a year; the format is that of [`duration`].
pub(crate) fn time_limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        limit if limit < Duration::from_millis(1) => Err("must be at least 1ms".to_owned()),
        limit if limit > MAX_TIME_LIMIT => Err("must be at most 365d".to_owned()),
        limit => Ok(limit),
    }
}

/// The maximum length of a list, at least 1.
pub(crate) fn listed(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!("{text:?} is not a number such as 20")),
    }
}

/// `memory` or `disk`.
pub(crate) fn durability(text: &str) -> Result<Durability, String> {
    Durability::parse(text).ok_or_else(|| format!("{text:?} is not memory or disk"))
}

/// The numbers of an array, in the order written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Array(pub(crate) Vec<RangeSpec>);

/// Numbers and ranges, separated by commas: `7`, `1-1000`, `0-90:10`, `1,3,5-9`.
pub(crate) fn array(text: &str) -> Result<Array, String> {
    let ranges = text.split(',').map(range).collect::<Result<Vec<_>, _>>()?;
    let count = ranges.iter().fold(0, |count: u64, range| count.saturating_add(range.len()));
    if count > u64::from(GROUP_MEMBERS) {
        return Err(format!("{count} tasks are too many; a group has at most {GROUP_MEMBERS}"));
    }
    Ok(Array(ranges))
}

fn range(text: &str) -> Result<RangeSpec, String> {
    let wrong =
        || format!("{text:?} is not a number or a range: write 7, 1-1000, 0-90:10 or 1,3,5-9");
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let Some((from, rest)) = text.split_once('-') else {
        let only = number(text)?;
        return Ok(RangeSpec { from: only, to: only, step: 1 });
    };
    let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let range = RangeSpec { from: number(from)?, to: number(to)?, step: number(step)? };
    if range.step == 0 {
        return Err("the step must be at least 1".to_owned());
    }
    if range.is_empty() {
        return Err(format!("{from} is above {to}: write the lower number first"));
    }
    Ok(range)
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form NAME=VALUE")),
    }
}

/// Whose work of some families runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcceptRule {
    /// The family of handlers; `None` for every family of the node except command and exec.
    pub(crate) family: Option<String>,
    /// The owners whose tasks may run.
    pub(crate) accept: Accept,
}

/// The policy of a node with these families. Later rules override earlier ones.
pub(crate) fn policy<'a>(
    rules: impl IntoIterator<Item = &'a AcceptRule>,
    families: &[&str],
) -> AcceptPolicy {
    rules.into_iter().fold(AcceptPolicy::default(), |policy, rule| match &rule.family {
        Some(family) => policy.with(family, rule.accept),
        None => policy.with_all(families.iter().copied(), rule.accept),
    })
}

/// Parses `FAMILY=POLICY` or `POLICY`.
pub(crate) fn accept(text: &str) -> Result<AcceptRule, String> {
    let (family, policy) = match text.split_once('=') {
        Some((family, policy)) => (Some(family.to_owned()), policy),
        None => (None, text),
    };
    if let Some(family) = &family
        && meshwork_core::HandlerName::new(family, "x").is_err()
    {
        return Err(format!("{family:?} is not a handler family; use a rule such as text=listed"));
    }
    let accept = policy.parse().map_err(|error| format!("{error}"))?;
    Ok(AcceptRule { family, accept })
}
