//! `text/unique`.

use std::collections::{HashMap, hash_map::Entry};

use super::{lines::Lines, source::Source};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
};

const COUNT: ParamSpec = ParamSpec::with_default(
    "count",
    ParamKind::Boolean,
    "false",
    "put the number of occurrences and a tab before each line",
);
pub(super) const PARAMS: &[ParamSpec] = &[COUNT];

pub(super) fn unique(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let count = cx.value(&COUNT)?;
    source.whole(|input| {
        let text = Lines::of(input)?;
        let distinct = distinct(cx, &text)?;
        if count {
            let counted = distinct.into_iter().map(|(line, times)| format!("{times}\t{line}"));
            text.write(cx, counted, output)
        } else {
            text.write(cx, distinct.into_iter().map(|(line, _)| line), output)
        }
    })
}

/// A line and how often it occurs.
type Counted<'t> = (&'t str, usize);

/// The distinct lines, in order of their first occurrence, and how often each occurs.
fn distinct<'t>(cx: &TaskContext, text: &Lines<'t>) -> Result<Vec<Counted<'t>>, HandlerError> {
    let mut distinct: Vec<Counted<'t>> = Vec::new();
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
    Ok(distinct)
}
