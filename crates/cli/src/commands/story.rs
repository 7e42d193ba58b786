//! A task's story on one screen: state, reason, attempts, what to do next.

use chrono::{DateTime, Local, Utc};
use meshwork_api::{AttemptView, ErrorView, TaskView, WaitingView};

use crate::{exit, failure::Failure, output::format};

mod group;
#[cfg(test)]
mod tests;

pub(super) use self::group::group;

/// The code of a reason to wait: no connected worker can run it.
pub(super) const NOBODY: &str = "no_eligible_peer";

/// The story as text.
pub(super) fn story(task: &TaskView, now: DateTime<Utc>) -> String {
    let mut text = head(task, now);
    if let Some(error) = &task.error {
        text.push_str(&format!("why       {}\n", why(error)));
    }
    text.push_str(&format!("when      {}\n", when(task)));
    if !task.attempts.is_empty() {
        text.push_str("attempts\n");
    }
    for attempt in &task.attempts {
        let peer = format::peer_label(attempt.peer_name.as_deref(), &attempt.peer);
        let end = attempt.end.as_deref().map_or_else(
            || format!("since {}", format::span(format::between(attempt.started_at, now))),
            format::printable,
        );
        let took = attempt.ended_at.map_or_else(String::new, |ended| {
            format!(" after {}", format::span(format::between(attempt.started_at, ended)))
        });
        text.push_str(&format!("  {}  {peer}  {end}{took}\n", attempt.number));
    }
    if let Some(progress) = &task.progress {
        text.push_str(&format!("progress  {}\n", format::progress(progress)));
    }
    if let Some(waiting) = &task.waiting {
        text.push_str(&waits("", waiting, now));
    }
    if let Some(lines) = task.output_tail.as_ref().filter(|lines| !lines.is_empty()) {
        text.push_str("output    its last lines\n");
        for line in lines {
            text.push_str(&format!("  {}\n", format::printable(line)));
        }
    }
    if let Some(next) = next(task) {
        text.push_str(&format!("next      {next}\n"));
    }
    text
}

/// Why a task has no result, as a failure of the command.
pub(super) fn failure(task: &TaskView) -> Failure {
    let code = exit::of_task(task);
    let Some(error) = &task.error else {
        return Failure::new(code, &task.state, format!("task {} {}", task.short, task.state));
    };
    let place = task
        .worker
        .as_ref()
        .map(|worker| format!(" on {}", format::peer_label(task.worker_name.as_deref(), worker)))
        .unwrap_or_default();
    Failure::new(code, &error.code, format!("task {} {}{place}", task.short, task.state))
        .because(why(error))
        .with_hint(format!("meshwork task show {}", task.short))
}

fn head(task: &TaskView, now: DateTime<Utc>) -> String {
    let mut parts = vec![task.short.clone(), task.state.to_uppercase()];
    if !task.is_ended() {
        parts.push(format::span(format::between(task.submitted_at, now)));
    }
    parts.push(task.handler.clone());
    if let Some(attempt) = leading(task) {
        parts.push(format!("attempt {}", attempt.number));
    }
    if let Some(worker) = &task.worker {
        parts.push(format!("on {}", format::peer_label(task.worker_name.as_deref(), worker)));
    }
    if let Some(took) = task.took_us {
        parts.push(format!("ran {}", format::span(std::time::Duration::from_micros(took))));
    }
    if let Some(bytes) = task.output_bytes {
        parts.push(format!("result {}", format::size(bytes)));
    }
    if let Some(code) = task.error.as_ref().and_then(|error| error.exit) {
        parts.push(format!("exit {code}"));
    }
    format!("{}\nid        {}\n", parts.join("  "), task.id)
}

/// The attempt that the task is known by: of two that run, or ran, the one at its worker.
fn leading(task: &TaskView) -> Option<&AttemptView> {
    let there = |attempt: &&AttemptView| Some(&attempt.peer) == task.worker.as_ref();
    task.attempts.iter().rfind(there).or_else(|| task.attempts.last())
}

fn why(error: &ErrorView) -> String {
    let message = format::printable(&error.message);
    match error.code.as_str() {
        "expired" => format!("{message}{}", limit_flag(error.limit.as_deref())),
        "handler" | "permanent" => message,
        code => format!("{code}: {message}"),
    }
}

/// Which flag sets a time limit.
fn limit_flag(limit: Option<&str>) -> &'static str {
    match limit {
        Some("queue") => " (--queue-timeout)",
        Some("attempt") => " (--time)",
        Some("total") => " (--deadline)",
        _ => "",
    }
}

fn when(task: &TaskView) -> String {
    let clock = task.submitted_at.with_timezone(&Local).format("%H:%M:%S");
    let mut text = format!("submitted {clock}");
    let since = |then| format::span(format::between(task.submitted_at, then));
    if let Some(attempt) = leading(task) {
        let number = attempt.number;
        text.push_str(&format!(" -> attempt {number} +{}", since(attempt.started_at)));
    }
    if let Some(ended) = task.ended_at {
        text.push_str(&format!(" -> {} +{}", task.state, since(ended)));
    }
    text
}

fn waits(what: &str, waiting: &WaitingView, now: DateTime<Utc>) -> String {
    let mut text = format!("waits     {what}{}\n", format::printable(&waiting.message));
    for obstacle in &waiting.peers {
        let peer = format::peer_label(obstacle.name.as_deref(), &obstacle.peer);
        let may = if obstacle.code == "none" { "yes" } else { "no" };
        let message = format::printable(&obstacle.message);
        let remedy = match obstacle.code.as_str() {
            "not_trusted" => format!(": meshwork peers trust {}", obstacle.peer),
            _ => String::new(),
        };
        text.push_str(&format!("  {peer}  {may}  {message}{remedy}\n"));
    }
    if waiting.peers.len() > 1 {
        let sums = waiting.sums.iter().map(|(code, count)| format!("{count} {}", obstacle(code)));
        let sums: Vec<String> = sums.collect();
        text.push_str(&format!("  {} workers: {}\n", waiting.peers.len(), sums.join(", ")));
    }
    let mut ends = Vec::new();
    if let Some(next) = waiting.next_try_at {
        ends.push(format!("next try in {}", format::span(format::between(now, next))));
    }
    if let Some(end) = waiting.gives_up_at {
        let left = format::span(format::between(now, end));
        ends.push(format!("gives up in {left} (--queue-timeout)"));
    }
    if !ends.is_empty() {
        text.push_str(&format!("  {}\n", ends.join("; ")));
    }
    text
}

/// What a code of an obstacle says of a worker.
fn obstacle(code: &str) -> &str {
    match code {
        "none" => "free",
        "no_handler_here" | "no_handler_there" => "without the handler",
        "not_ready" => "not ready",
        "not_trusted" => "not trusted",
        "not_offered" => "not offering it",
        "requirement" => "without what it requires",
        "refused" => "that refused it",
        "no_session" => "being connected",
        "shutting_down" => "of a node that stops",
        "no_credit" => "at its limit",
        other => other,
    }
}

fn next(task: &TaskView) -> Option<String> {
    let short = &task.short;
    match task.state.as_str() {
        "succeeded" => Some(format!("meshwork task result {short}")),
        "failed" | "cancelled" | "expired" => None,
        _ => Some(format!("meshwork wait {short}")),
    }
}
