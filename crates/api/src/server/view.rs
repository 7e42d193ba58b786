//! Translates the engine's views into those of the API: times of day, names, words.

use std::collections::{BTreeMap, HashMap};

use meshwork_core::{
    PeerId, TaskEnd, TaskResult, TaskState,
    engine::view::{AttemptView as Attempt, Explanation, Obstacle, TaskView as Task},
};
use meshwork_node::{NetworkError, NetworkManager};

use crate::types::{
    AttemptView, ErrorCode, ErrorView, ObstacleCode, ObstacleView, ProgressView, TaskView,
    WaitingView, micros,
};

/// Translates tasks, with the names of their peers.
pub(super) struct Viewer<'m> {
    manager: &'m NetworkManager,
    names: HashMap<PeerId, String>,
}

impl<'m> Viewer<'m> {
    /// Creates a viewer for these tasks.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub(super) fn of(manager: &'m NetworkManager, tasks: &[Task]) -> Result<Self, NetworkError> {
        // Most newly submitted tasks name no peer and need no names.
        if tasks.iter().any(|task| !task.attempts.is_empty() || task.waiting.is_some()) {
            return Self::with_names(manager);
        }
        Ok(Self { manager, names: HashMap::new() })
    }

    /// Creates a viewer with the names of all peers.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub(super) fn with_names(manager: &'m NetworkManager) -> Result<Self, NetworkError> {
        Ok(Self { manager, names: manager.peer_names()? })
    }

    pub(super) fn task(&self, task: &Task) -> TaskView {
        let worker = worker(&task.state, task.end.as_ref());
        let result = task.end.as_ref().and_then(result);
        TaskView {
            id: task.id.to_string(),
            short: task.id.short(),
            group: task.group.map(|(group, _)| group.to_string()),
            index: task.group.map(|(_, index)| index),
            handler: task.handler.to_string(),
            state: task.state.as_str().into(),
            priority: task.priority,
            durability: task.durability.into(),
            input_bytes: task.input_bytes,
            submitted_at: self.manager.wall_time(task.submitted),
            ended_at: task.ended.map(|ended| self.manager.wall_time(ended)),
            attempts: task.attempts.iter().map(|attempt| self.attempt(attempt)).collect(),
            stage: task.stage.map(|stage| stage.as_str().into()),
            progress: task.progress.as_ref().map(|progress| ProgressView {
                fraction: progress.fraction,
                message: progress.message.clone(),
            }),
            worker: worker.map(|peer| peer.to_string()),
            worker_name: worker.and_then(|peer| self.name(&peer)),
            took_us: result.map(|result| micros(result.took)),
            output_bytes: result.map(|result| result.output.size()),
            output_blob: result.and_then(|result| result.output.blob()),
            output_tail: None,
            waiting: task.waiting.as_ref().map(|waiting| self.waiting(waiting)),
            error: task.end.as_ref().and_then(error),
        }
    }

    fn attempt(&self, attempt: &Attempt) -> AttemptView {
        AttemptView {
            number: attempt.number,
            peer: attempt.peer.to_string(),
            peer_name: self.name(&attempt.peer),
            started_at: self.manager.wall_time(attempt.started),
            ended_at: attempt.ended.map(|ended| self.manager.wall_time(ended)),
            end: attempt.end.clone(),
        }
    }

    pub(super) fn waiting(&self, waiting: &Explanation) -> WaitingView {
        let mut sums = BTreeMap::new();
        for (_, obstacle) in &waiting.peers {
            *sums.entry(obstacle_code(obstacle)).or_default() += 1;
        }
        WaitingView {
            sums,
            code: waiting.code.into(),
            message: waiting.message.clone(),
            next_try_at: waiting.next_try.map(|time| self.manager.wall_time(time)),
            gives_up_at: waiting.gives_up.map(|time| self.manager.wall_time(time)),
            peers: waiting
                .peers
                .iter()
                .map(|(peer, obstacle)| ObstacleView {
                    peer: peer.to_string(),
                    name: self.name(peer),
                    code: obstacle_code(obstacle),
                    message: obstacle.to_string(),
                })
                .collect(),
        }
    }

    fn name(&self, peer: &PeerId) -> Option<String> {
        self.names.get(peer).cloned()
    }
}

fn obstacle_code(obstacle: &Obstacle) -> ObstacleCode {
    match obstacle {
        Obstacle::None => ObstacleCode::None,
        Obstacle::InputAway { .. } => ObstacleCode::InputAway,
        Obstacle::NoHandlerHere { .. } => ObstacleCode::NoHandlerHere,
        Obstacle::NotReady => ObstacleCode::NotReady,
        Obstacle::NotTrusted => ObstacleCode::NotTrusted,
        Obstacle::NotTarget => ObstacleCode::NotTarget,
        Obstacle::NoHandlerThere { .. } => ObstacleCode::NoHandlerThere,
        Obstacle::NotOffered { .. } => ObstacleCode::NotOffered,
        Obstacle::Requirement { .. } => ObstacleCode::Requirement,
        Obstacle::Version { .. } => ObstacleCode::Version,
        Obstacle::Refused(_) => ObstacleCode::Refused,
        Obstacle::Busy { .. } => ObstacleCode::Busy,
        Obstacle::NoSession => ObstacleCode::NoSession,
        Obstacle::Draining => ObstacleCode::Draining,
        Obstacle::Stopping => ObstacleCode::ShuttingDown,
        Obstacle::NoCredit { .. } => ObstacleCode::NoCredit,
        _ => ObstacleCode::from("other"),
    }
}

/// The peer that runs a task, or on which the task ended.
pub(super) fn worker(state: &TaskState, end: Option<&TaskEnd>) -> Option<PeerId> {
    match (state, end) {
        (TaskState::Assigned { peer, .. } | TaskState::Running { peer, .. }, _) => Some(*peer),
        (_, Some(TaskEnd::Succeeded(result))) => Some(result.worker),
        (_, Some(TaskEnd::Failed(failure))) => failure.worker.as_deref().copied(),
        _ => None,
    }
}

/// The result of a task that succeeded.
pub(super) fn result(end: &TaskEnd) -> Option<&TaskResult> {
    if let TaskEnd::Succeeded(result) = end { Some(result) } else { None }
}

/// The last lines of a text result.
pub(super) fn tail(end: &TaskEnd) -> Option<Vec<String>> {
    let text = result(end)?.text().ok()?;
    let cut = |line: &str| match line.char_indices().nth(TAIL_CHARS) {
        Some((end, _)) => line.get(..end).map(|start| format!("{start}…")).unwrap_or_default(),
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = text.lines().rev().take(TAIL_LINES).map(cut).collect();
    lines.reverse();
    Some(lines)
}

/// How much of a result is shown with its task: enough to recognise it.
const TAIL_LINES: usize = 5;
const TAIL_CHARS: usize = 200;

/// Why a member of a group cannot be shown.
pub(super) fn refusal(reason: &meshwork_core::Reason) -> ErrorView {
    ErrorView {
        code: reason.code().into(),
        message: reason.to_string(),
        exit: None,
        worker: None,
        limit: None,
        by: None,
    }
}

/// Why a task has no result; `None` if it has one.
pub(super) fn error(end: &TaskEnd) -> Option<ErrorView> {
    let blank = ErrorView {
        code: ErrorCode::default(),
        message: String::new(),
        exit: None,
        worker: None,
        limit: None,
        by: None,
    };
    match end {
        TaskEnd::Succeeded(_) => None,
        TaskEnd::Failed(failure) => Some(ErrorView {
            code: failure.code.as_str().into(),
            message: failure.message.clone(),
            exit: failure.exit,
            worker: failure.worker.as_ref().map(|peer| peer.to_string()),
            ..blank
        }),
        TaskEnd::Cancelled { by, reason } => Some(ErrorView {
            code: ErrorCode::Cancelled,
            message: if reason.is_empty() { "cancelled".to_owned() } else { reason.clone() },
            by: Some(by.as_str().into()),
            ..blank
        }),
        TaskEnd::Expired { limit } => Some(ErrorView {
            code: ErrorCode::Expired,
            message: format!("the {} time limit was reached", limit.as_str()),
            limit: Some(limit.as_str().into()),
            ..blank
        }),
    }
}
