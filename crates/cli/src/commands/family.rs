//! A task of a family that no known node offers waits for a node that does. It may be a typo: the
//! command says so at once, with the nearest name.

use meshwork_api::{Client, TaskView, WaitCode};

use crate::output::{Output, format};

#[cfg(test)]
mod tests;

/// Warns if `task` waits because no known node offers its family of handlers.
pub(super) async fn warn_of_task(task: &TaskView, client: &Client, out: &Output) {
    if task.waiting.as_ref().is_some_and(|waiting| waiting.code == WaitCode::NoEligiblePeer) {
        warn(&task.handler, &task.short, client, out).await;
    }
}

/// Warns if no known node offers the family of `handler`; `short` names the task or group.
pub(super) async fn warn(handler: &str, short: &str, client: &Client, out: &Output) {
    // The task is accepted; a warning that cannot be made is no failure.
    let Ok(known) = client.handlers().await else { return };
    let names: Vec<&str> = known.items.iter().map(|handler| handler.name.as_str()).collect();
    if let Some(warning) = warning(handler, short, &names) {
        out.say(warning);
    }
}

fn warning(handler: &str, short: &str, known: &[&str]) -> Option<String> {
    let family = family_of(handler);
    if known.iter().any(|name| family_of(name) == family) {
        return None;
    }
    let guess = nearest(handler, known).map_or_else(
        || "see what there is: meshwork handlers.".to_owned(),
        |name| format!("did you mean {}?", format::printable(name)),
    );
    Some(format!(
        "no known node offers the family {:?}: {guess} It waits for a node that does (--queue-timeout); \
         cancel it: meshwork task cancel {short}",
        format::printable(family)
    ))
}

fn family_of(handler: &str) -> &str {
    handler.split_once('/').map_or(handler, |(family, _)| family)
}

/// The name that differs in the fewest letters, if it is likely to be meant.
fn nearest<'n>(handler: &str, known: &[&'n str]) -> Option<&'n str> {
    let near = known.iter().map(|name| (distance(handler, name), *name)).min()?;
    (near.0 <= (handler.chars().count() / 3).max(1)).then_some(near.1)
}

/// How many letters must be put in, left out or replaced to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (above, meant) in row.iter_mut().skip(1).zip(&other) {
            let replaced = before + usize::from(letter != *meant);
            before = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
