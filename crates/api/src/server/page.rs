//! Pages of a list. Each starts where the previous one ended.

use std::{fmt, str::FromStr};

use meshwork_core::Time;

use crate::types::{List, Problem};

#[cfg(test)]
mod tests;

/// The length of a page: `requested`, but at most `most`. The rest of the list follows on the next
/// pages.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn limit(requested: Option<usize>, most: usize) -> Result<usize, Problem> {
    match requested {
        Some(0) => Err(Problem::bad_request("limit: must be at least 1")
            .with_hint(format!("omit it to list up to {most}"))),
        requested => Ok(requested.map_or(most, |requested| requested.min(most))),
    }
}

/// Cuts `items` to a page of `limit` items. More items mean that the list continues.
pub(super) fn cut<T>(
    mut items: Vec<T>,
    limit: usize,
    position: impl FnOnce(&T) -> String,
) -> List<T> {
    let goes_on = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| goes_on).map(position);
    List { items, next_cursor }
}

/// Parses a list's cursor.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn position<P: FromStr>(cursor: Option<&str>) -> Result<Option<P>, Problem> {
    let parsed = cursor.map(|text| {
        text.parse().map_err(|_| {
            Problem::bad_request(format!("cursor: {text:?} is not a cursor of this list"))
                .with_hint("use the `next_cursor` of an earlier answer, or omit it")
        })
    });
    parsed.transpose()
}

/// A position in a list of the newest first: when an item was submitted, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Submitted<Id>(pub(super) Time, pub(super) Id);

impl<Id: FromStr> FromStr for Submitted<Id> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, id) = text.split_once('.').ok_or(())?;
        let time = Time::from_nanos(time.parse().map_err(drop)?);
        Ok(Self(time, id.parse().map_err(drop)?))
    }
}

impl<Id: fmt::Display> fmt::Display for Submitted<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.as_nanos(), self.1)
    }
}
