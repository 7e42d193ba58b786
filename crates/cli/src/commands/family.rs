//! Warns when no known node offers the family of a task's handler. The task waits for such a node,
//! but the name may be a typo: the warning suggests the nearest name.

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
    // The task is accepted already: without a list of handlers there is just no warning.
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
        || "list the handlers: meshwork handlers.".to_owned(),
        |name| format!("did you mean {}?", format::printable(name)),
    );
    Some(format!(
        "no known node offers the family {:?}: {guess} It waits for such a node (--queue-timeout); \
         to cancel it: meshwork task cancel {short}",
        format::printable(family)
    ))
}

fn family_of(handler: &str) -> &str {
    handler.split_once('/').map_or(handler, |(family, _)| family)
}

/// The name with the smallest edit distance, if that is at most a third of the letters.
fn nearest<'n>(handler: &str, known: &[&'n str]) -> Option<&'n str> {
    let (distance, name) = known.iter().map(|name| (distance(handler, name), *name)).min()?;
    (distance <= (handler.chars().count() / 3).max(1)).then_some(name)
}

/// The edit distance: insertions, deletions and replacements of letters (Levenshtein).
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
