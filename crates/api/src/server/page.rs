//! Pages of a list: where one ends, the next one begins.

use std::{fmt, str::FromStr};

use meshwork_core::Time;

use crate::types::{List, Problem};

#[cfg(test)]
mod tests;

/// Most items of this page: as many as are `asked` for, at most `most`. The rest of a longer list follows on
/// the next pages.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn limit(asked: Option<usize>, most: usize) -> Result<usize, Problem> {
    match asked {
        Some(0) => Err(Problem::bad_request("limit: at least 1")
            .with_hint(format!("leave it out to list as many as possible, {most}"))),
        asked => Ok(asked.map_or(most, |asked| asked.min(most))),
    }
}

/// A page of `limit` items out of `items`, which holds at least one more if the list goes on.
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

/// The position that a cursor of a list names.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn position<P: FromStr>(cursor: Option<&str>) -> Result<Option<P>, Problem> {
    let parsed = cursor.map(|text| {
        text.parse().map_err(|_| {
            Problem::bad_request(format!("cursor: {text:?} is not a cursor of this list"))
                .with_hint("write the `next_cursor` of an earlier answer, or leave it out")
        })
    });
    parsed.transpose()
}

/// A position in a list that starts with the newest: when an item was submitted, and its id.
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
