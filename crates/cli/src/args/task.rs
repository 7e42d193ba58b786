//! `run`, `submit`, `wait`, `task`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use meshwork_api::{GroupState, TaskState};
use meshwork_core::Durability;

use super::values::{self, Array};

/// Run one task.
///
/// INPUT is @PATH (the bytes of a file), - (standard input) or text, of which several words are joined by
/// spaces. A task has one input; standard input is read only for -.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork run text/upper hello
  meshwork run text/word-count @book.txt --on bee
  cat book.txt | meshwork run text/top-words - --param n=20
  meshwork submit text/hash @disk.img --retries 5 --time 30s")]
pub(crate) struct RunArgs {
    /// Handler to run, such as text/word-count
    #[arg(value_parser = values::name)]
    pub(crate) handler: String,
    /// Input: @PATH (a file), - (standard input) or text
    #[arg(value_name = "INPUT")]
    pub(crate) input: Vec<String>,
    /// Run it there: a peer id, a name, the unique start of a name, or `any` [default: any, which
    /// is this node or a peer that it trusts]
    #[arg(long, value_name = "PEER", value_parser = values::name)]
    pub(crate) on: Vec<String>,
    /// A parameter of the handler
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = values::pair)]
    pub(crate) param: Vec<(String, String)>,
    /// CPUs that the worker must have
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) cpus: u32,
    /// Memory that the worker must have, such as 8GiB
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) mem: Option<u64>,
    /// GPUs that the worker must have
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) gpu: u32,
    /// A label that the worker must carry
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair)]
    pub(crate) label: Vec<(String, String)>,
    /// A capability that the worker must have
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(crate) capability: Vec<String>,
    /// How often it is tried again after a failure that may pass [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..MAX_ATTEMPTS), allow_negative_numbers = true)]
    pub(crate) retries: Option<u32>,
    /// Rest before the second attempt, doubled for each further one [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) retry_delay: Option<Duration>,
    /// If it runs longer than the handler's 95th percentile, run it at a second worker as well: the first
    /// result counts, and the slower attempt is stopped
    #[arg(long)]
    pub(crate) hedge: bool,
    /// Longest run of one attempt
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) time: Option<Duration>,
    /// Longest wait for a worker [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) queue_timeout: Option<Duration>,
    /// Longest time in all, from now on
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) deadline: Option<Duration>,
    /// Higher runs first, from -128 to 127
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i8,
    /// Submitting again with the same key gives the first task, not a second one
    #[arg(long, value_name = "KEY", value_parser = values::name)]
    pub(crate) key: Option<String>,
    /// memory (lost on restart) or disk (written before it is acknowledged) [default: as set by `up`]
    #[arg(long, value_name = "KIND", value_parser = values::durability)]
    pub(crate) durability: Option<Durability>,
}

/// Submit one task, or a group of tasks that have all in common but their inputs.
///
/// A group is submitted by --each-line, --array or --from-json. Its id is printed as soon as its
/// first tasks are accepted; `wait`, `task list --group` and `task explain`, `result`, `retry` and
/// `cancel` take it. The same command with the same --key goes on with a group that was submitted in
/// part. If nobody does, it is over ten minutes after its latest tasks were submitted, and its tasks
/// have ended.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork submit text/hash @disk.img --retries 5 --time 30s
  meshwork submit --each-line urls.txt text/upper --max-fails 5
  meshwork submit --array 1-1000 text/reverse
  meshwork submit --array 0-90:10 text/upper 'page {index}' --key nightly
  meshwork submit --from-json jobs.json text/template
  seq 100 | meshwork submit --each-line - text/hash && meshwork wait last --results")]
pub(crate) struct SubmitArgs {
    /// What each task is.
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// A task for each line of this file (- is standard input): the line is its input; empty lines count
    #[arg(long, value_name = "FILE", group = "members")]
    pub(crate) each_line: Option<PathBuf>,
    /// A task for each number: 7, 1-1000, 0-90:10 (steps of ten), or a list such as 1,3,5-9. The
    /// number is its input; if INPUT is given, that is it, with the number in place of {index}
    #[arg(long, value_name = "NUMBERS", value_parser = values::array, group = "members")]
    pub(crate) array: Option<Array>,
    /// A task for each element of this file (- is standard input), which is an array, or one element
    /// after the other: a text is the input, an object has `input` and `params`
    #[arg(long, value_name = "FILE", group = "members")]
    pub(crate) from_json: Option<PathBuf>,
    /// When more than N of the group have failed or expired, cancel those that have not ended
    #[arg(long, value_name = "N", requires = "members")]
    pub(crate) max_fails: Option<u32>,
    /// Wait for the end: of one task as `run` does, of a group as `wait` does
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Of which the first is no retry.
const MAX_ATTEMPTS: i64 = meshwork_core::limits::MAX_ATTEMPTS as i64;

/// Wait until tasks have ended. On one task the exit code is the task's own; on groups it is 0 if
/// every task of them has succeeded, else 1.
#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// Tasks or groups: ids, unique ends of ids, `last` (the group, if the last task is of one), or `all`, which waits until no task of this node is open
    #[arg(value_name = "TASK", required = true, value_parser = values::name)]
    pub(crate) tasks: Vec<String>,
    /// Print the result of one task as it is; of groups and several tasks in order, as they come, one
    /// line each, so that line N belongs to input N. A task without a result, or with one that no line
    /// can hold, gives an empty line and a reason on standard error. With --json: one object for each
    #[arg(long)]
    pub(crate) results: bool,
    /// End with 0 however the tasks end
    #[arg(long)]
    pub(crate) ok_if_failed: bool,
    /// Wait no longer than this; then end with 124
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
}

impl WaitArgs {
    /// Waits for one group, as long as it takes.
    pub(crate) fn of_group(id: String) -> Self {
        Self { tasks: vec![id], results: false, ok_if_failed: false, timeout: None }
    }

    /// Whether it is about exactly one task.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.tasks.as_slice(), [task] if task != ALL)
    }

    /// Whether it is about all open tasks.
    pub(crate) fn is_all(&self) -> bool {
        self.tasks.iter().any(|task| task == ALL)
    }
}

/// The word for all open tasks.
pub(crate) const ALL: &str = "all";

/// See, read, retry and cancel tasks and groups. TASK is an id, the unique end of one, or `last`.
#[derive(Args, Debug)]
pub(crate) struct TaskArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: TaskVerb,
}

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// List the tasks that have not ended
    List {
        /// Include those that have ended
        #[arg(short, long)]
        all: bool,
        /// Only those in these states: queued, assigned, running, succeeded, failed, cancelled,
        /// expired
        #[arg(long, value_name = "STATE", value_delimiter = ',', conflicts_with = "all", value_parser = values::task_state)]
        state: Vec<TaskState>,
        /// Only those of this handler
        #[arg(long, value_name = "NAME", value_parser = values::name)]
        handler: Option<String>,
        /// Only those of this group, also those that have ended
        #[arg(long, value_name = "GROUP", value_parser = values::name)]
        group: Option<String>,
        /// At most so many, the newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::listed)]
        limit: usize,
    },
    /// List the groups that have not ended, with their tasks in numbers
    Groups {
        /// Include those that have ended
        #[arg(short, long)]
        all: bool,
        /// Only those in these states: open, running, stopping, succeeded, failed, cancelled,
        /// unfinished
        #[arg(long, value_name = "STATE", value_delimiter = ',', conflicts_with = "all", value_parser = values::group_state)]
        state: Vec<GroupState>,
        /// At most so many, the newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::listed)]
        limit: usize,
    },
    /// Show a task's story: state, reason, attempts; or how a group is
    Show {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
    },
    /// Say why a task waits, peer by peer, or how it came to its end; of a group, why its tasks wait,
    /// and what failed first. Exit code 6: nobody who is here may run it, or some of them
    Explain {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
    },
    /// Print the bytes of a task's result, or the results of a group in order
    Result {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
    },
    /// Submit again a task that did not succeed; of a group, as a new group, its tasks that failed,
    /// expired or were cancelled
    Retry {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
        /// The only way to retry a group: inputs of tasks that succeeded are not kept
        #[arg(long, hide = true)]
        only_failed: bool,
    },
    /// Cancel tasks, or groups with all of their tasks: no more can be submitted to them
    Cancel {
        /// Tasks and groups: ids, unique ends of ids, `last`, or `all`, which is every task of this
        /// node that has not ended
        #[arg(value_name = "TASK", required = true, value_parser = values::name)]
        tasks: Vec<String>,
        /// Why; at most 1,024 bytes, and 128 for a group
        #[arg(long, default_value = "")]
        reason: String,
    },
}
