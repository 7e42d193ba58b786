//! A task's story on one screen: state, reason, attempts, and the next command.

use chrono::{DateTime, Local, Utc};
use meshwork_api::{
    AttemptView, ErrorCode, ErrorView, ExpiredLimit, ObstacleCode, TaskState, TaskView, WaitingView,
};

use crate::{exit, failure::Failure, output::format};

mod group;
#[cfg(test)]
mod tests;

pub(super) use self::group::group;

/// The story of a task as text.
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

/// The failure of a command whose task has no result.
pub(super) fn failure(task: &TaskView) -> Failure {
    let code = exit::of_task(task);
    let Some(error) = &task.error else {
        return Failure::new(
            code,
            task.state.as_str(),
            format!("task {} {}", task.short, task.state),
        );
    };
    let place = task
        .worker
        .as_ref()
        .map(|worker| format!(" on {}", format::peer_label(task.worker_name.as_deref(), worker)))
        .unwrap_or_default();
    Failure::new(code, error.code.clone(), format!("task {} {}{place}", task.short, task.state))
        .because(why(error))
        .with_hint(format!("meshwork task show {}", task.short))
}

fn head(task: &TaskView, now: DateTime<Utc>) -> String {
    let state = task.state.as_str().to_uppercase();
    let stage = task.stage.as_ref().map_or_else(String::new, |stage| format!(" ({stage})"));
    let mut parts = vec![task.short.clone(), format!("{state}{stage}")];
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

/// The attempt to show: the last one at the task's worker, else the last one.
fn leading(task: &TaskView) -> Option<&AttemptView> {
    let there = |attempt: &&AttemptView| Some(&attempt.peer) == task.worker.as_ref();
    task.attempts.iter().rfind(there).or_else(|| task.attempts.last())
}

fn why(error: &ErrorView) -> String {
    let message = format::printable(&error.message);
    if error.code == ErrorCode::Expired {
        return format!("{message}{}", limit_flag(error.limit.as_ref()));
    }
    // The message is the handler's own and needs no code.
    if [ErrorCode::Handler, ErrorCode::Permanent].contains(&error.code) {
        return message;
    }
    format!("{}: {message}", error.code)
}

/// The flag that sets a time limit, in parentheses.
fn limit_flag(limit: Option<&ExpiredLimit>) -> &'static str {
    match limit {
        Some(ExpiredLimit::Queue) => " (--queue-timeout)",
        Some(ExpiredLimit::Attempt) => " (--time)",
        Some(ExpiredLimit::Total) => " (--deadline)",
        Some(ExpiredLimit::Other(_)) | None => "",
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
        let may = if obstacle.code == ObstacleCode::None { "yes" } else { "no" };
        let message = format::printable(&obstacle.message);
        let remedy = if obstacle.code == ObstacleCode::NotTrusted {
            format!(": meshwork peers trust {}", obstacle.peer)
        } else {
            String::new()
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

/// The words for an obstacle in a count of workers: `2 not ready`.
fn obstacle(code: &ObstacleCode) -> &str {
    match code {
        ObstacleCode::None => "free",
        ObstacleCode::InputAway => "free without the input",
        ObstacleCode::NoHandlerHere | ObstacleCode::NoHandlerThere => "without the handler",
        ObstacleCode::NotReady => "not ready",
        ObstacleCode::NotTrusted => "not trusted",
        ObstacleCode::NotOffered => "not offering it",
        ObstacleCode::Requirement => "missing a requirement",
        ObstacleCode::Version => "of an older version",
        ObstacleCode::Refused => "refused it",
        ObstacleCode::NoSession => "connecting",
        ObstacleCode::ShuttingDown => "shutting down",
        ObstacleCode::NoCredit => "at its limit",
        ObstacleCode::NotTarget
        | ObstacleCode::Busy
        | ObstacleCode::Draining
        | ObstacleCode::Other(_) => code.as_str(),
    }
}

fn next(task: &TaskView) -> Option<String> {
    let short = &task.short;
    match task.state {
        TaskState::Succeeded => Some(format!("meshwork task result {short}")),
        TaskState::Failed | TaskState::Cancelled | TaskState::Expired => None,
        TaskState::Queued | TaskState::Assigned | TaskState::Running | TaskState::Other(_) => {
            Some(format!("meshwork wait {short}"))
        }
    }
}
