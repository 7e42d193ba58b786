//! `text/unique`.

use std::collections::{HashMap, hash_map::Entry};

use bytes::Bytes;

use super::lines::Lines;
use crate::{
    context::TaskContext,
    handler::{HandlerError, ParamKind, ParamSpec},
};

const COUNT: ParamSpec = ParamSpec::with_default(
    "count",
    ParamKind::Boolean,
    "false",
    "put the number of occurrences and a tab before each line",
);
pub(super) const PARAMS: &[ParamSpec] = &[COUNT];

pub(super) fn unique(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let count = cx.value(&COUNT)?;
    let text = Lines::of(input)?;
    let mut distinct: Vec<(&str, usize)> = Vec::new();
    // Not a faster hash: the keys come from an untrusted text.
    let mut places: HashMap<&str, usize> = HashMap::new();
    text.each(cx, |line| {
        match places.entry(line) {
            Entry::Vacant(place) => {
                place.insert(distinct.len());
                distinct.push((line, 1));
            }
            Entry::Occupied(place) => {
                if let Some((_, times)) = distinct.get_mut(*place.get()) {
                    *times += 1;
                }
            }
        }
        Ok(())
    })?;
    if count {
        text.joined(cx, distinct.into_iter().map(|(line, times)| format!("{times}\t{line}")))
    } else {
        text.joined(cx, distinct.into_iter().map(|(line, _)| line))
    }
}
