//! `run`, `submit`, `wait`, `task`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use meshwork_api::{GroupState, TaskState};
use meshwork_core::Durability;

use super::values::{self, Array};

/// Run one task.
///
/// INPUT is @PATH (a file or a folder), - (standard input) or text; several words are joined by
/// spaces. Files, folders and standard input may have any size. A task has one input; standard input
/// is read only for -.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork run text/upper hello
  meshwork run text/word-count @book.txt --on bee
  cat book.txt | meshwork run text/top-words - --param n=20
  meshwork run text/upper @book.txt --out results
  meshwork submit text/hash @disk.img --retries 5 --time 30s")]
pub(crate) struct RunArgs {
    /// Handler to run, such as text/word-count
    #[arg(value_parser = values::word())]
    pub(crate) handler: OsString,
    /// Input: @PATH (a file or folder), - (standard input) or text
    #[arg(value_name = "INPUT")]
    pub(crate) input: Vec<OsString>,
    /// Send what the links in a folder lead to in their place. Without it, links that stay inside are
    /// kept, and others are refused
    #[arg(long)]
    pub(crate) follow_links: bool,
    /// Put results into this folder, named after their inputs. Existing files are never replaced
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Run the task there: a peer id, a name, the unique start of a name, or `any` [default: any,
    /// which is this node or a peer that it trusts]
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
    /// Number of retries after a failure that may pass [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..MAX_ATTEMPTS), allow_negative_numbers = true)]
    pub(crate) retries: Option<u32>,
    /// Pause before the second attempt, doubled for each further one [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) retry_delay: Option<Duration>,
    /// Start a second attempt on another worker if the first runs longer than the handler's 95th
    /// percentile. The first result counts, and the other attempt is stopped
    #[arg(long)]
    pub(crate) hedge: bool,
    /// Time limit of one attempt
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) time: Option<Duration>,
    /// Time limit of the wait for a worker [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) queue_timeout: Option<Duration>,
    /// Time limit of the whole task, from now on
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    pub(crate) deadline: Option<Duration>,
    /// Tasks of higher priority run first; -128 to 127
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i8,
    /// A second submission with the same key returns the first task
    #[arg(long, value_name = "KEY", value_parser = values::name)]
    pub(crate) key: Option<String>,
    /// memory (lost on restart) or disk (written before it is acknowledged) [default: as set by `up`]
    #[arg(long, value_name = "KIND", value_parser = values::durability)]
    pub(crate) durability: Option<Durability>,
}

/// Submit one task, or a group of tasks that differ only in their inputs.
///
/// A group is submitted by --each-file, --each-line, --array or --from-json. Its id is printed as soon as its
/// first tasks are accepted; `wait`, `task list --group` and `task explain`, `result`, `retry` and
/// `cancel` accept it. If only a part of a group was submitted, the same command with the same
/// --key submits the rest. Otherwise the group ends ten minutes after its latest tasks were
/// submitted, once they have ended.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork submit text/hash @disk.img --retries 5 --time 30s
  meshwork submit --each-file 'books/*.txt' text/word-count && meshwork wait last --out counts
  meshwork submit --each-line urls.txt text/upper --max-fails 5
  meshwork submit --array 1-1000 text/reverse
  meshwork submit --array 0-90:10 text/upper 'page {index}' --key nightly
  meshwork submit --from-json jobs.json text/search
  seq 100 | meshwork submit --each-line - text/hash && meshwork wait last --results")]
pub(crate) struct SubmitArgs {
    /// The options that all tasks share.
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Submit one task per file: submit --each-file PATH… HANDLER. A path is a file, a folder (all
    /// files in it; links only with --follow-links), or a quoted pattern such as 'src/**/*.c'
    #[arg(long, group = "members")]
    pub(crate) each_file: bool,
    /// Submit one task per line of this file (- is standard input). The line is the input; empty
    /// lines count
    #[arg(long, value_name = "FILE", group = "members")]
    pub(crate) each_line: Option<PathBuf>,
    /// Submit one task per number: 7, 1-1000, 0-90:10 (in steps of ten), or a list such as 1,3,5-9.
    /// The input is the number; or INPUT, with the number in place of each {index}
    #[arg(long, value_name = "NUMBERS", value_parser = values::array, group = "members")]
    pub(crate) array: Option<Array>,
    /// Submit one task per element of this file (- is standard input): an array, or a sequence of
    /// elements. An element is a text, which is the input, or an object with `input` and `params`
    #[arg(long, value_name = "FILE", group = "members")]
    pub(crate) from_json: Option<PathBuf>,
    /// Cancel the rest of the group when more than N tasks have failed or expired
    #[arg(long, value_name = "N", requires = "members")]
    pub(crate) max_fails: Option<u32>,
    /// Wait for the end; exit codes as for `run`, or for a group as for `wait`
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The first attempt is not a retry, so retries stay below this number.
const MAX_ATTEMPTS: i64 = meshwork_core::limits::MAX_ATTEMPTS as i64;

/// Wait until tasks have ended. For one task, the exit code is the task's own. For groups, it is 0
/// if every task succeeded, else 1.
#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// Tasks or groups: ids, unique ends of ids, `last` (its group, if the last task is a member),
    /// or `all`, which waits until every task of this node has ended
    #[arg(value_name = "TASK", required = true, value_parser = values::name)]
    pub(crate) tasks: Vec<String>,
    /// Print the result of a single task unchanged. For groups and several tasks, print one line
    /// per task, in order, as results arrive, so that line N belongs to input N. A task without a
    /// result, or with a result that does not fit on a line, prints an empty line, and the reason
    /// on standard error. With --json, print one object per task
    #[arg(long)]
    pub(crate) results: bool,
    /// Put the results into this folder: of a group, one file for each task, named after its input
    /// file, or by its number from 1 on. Existing files are never replaced
    #[arg(long, value_name = "DIR", conflicts_with = "results")]
    pub(crate) out: Option<PathBuf>,
    /// Exit with 0 whether or not the tasks succeed
    #[arg(long)]
    pub(crate) ok_if_failed: bool,
    /// Maximum time to wait; when it is over, exit with 124
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
}

impl WaitArgs {
    /// Waits for one group, without a time limit.
    pub(crate) fn of_group(id: String, out: Option<PathBuf>) -> Self {
        Self { tasks: vec![id], results: false, out, ok_if_failed: false, timeout: None }
    }

    /// Whether exactly one task or group is named.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.tasks.as_slice(), [task] if task != ALL)
    }

    /// Whether all open tasks are named.
    pub(crate) fn is_all(&self) -> bool {
        self.tasks.iter().any(|task| task == ALL)
    }
}

/// The argument that means all open tasks.
pub(crate) const ALL: &str = "all";

/// List, show, retry and cancel tasks and groups. TASK is an id, the unique end of an id, or
/// `last`.
#[derive(Args, Debug)]
pub(crate) struct TaskArgs {
    /// The verb.
    #[command(subcommand)]
    pub(crate) verb: TaskVerb,
}

/// The verbs of `task`.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// List the tasks that have not ended
    List {
        /// Include ended tasks
        #[arg(short, long)]
        all: bool,
        /// Only tasks in these states: queued, assigned, running, succeeded, failed, cancelled,
        /// expired
        #[arg(long, value_name = "STATE", value_delimiter = ',', conflicts_with = "all", value_parser = values::task_state)]
        state: Vec<TaskState>,
        /// Only tasks of this handler
        #[arg(long, value_name = "NAME", value_parser = values::name)]
        handler: Option<String>,
        /// Only members of this group, including ended ones
        #[arg(long, value_name = "GROUP", value_parser = values::name)]
        group: Option<String>,
        /// Maximum number of tasks, the newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::listed)]
        limit: usize,
    },
    /// List the groups that have not ended, with the numbers of their tasks
    Groups {
        /// Include ended groups
        #[arg(short, long)]
        all: bool,
        /// Only groups in these states: open, running, stopping, succeeded, failed, cancelled,
        /// unfinished
        #[arg(long, value_name = "STATE", value_delimiter = ',', conflicts_with = "all", value_parser = values::group_state)]
        state: Vec<GroupState>,
        /// Maximum number of groups, the newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::listed)]
        limit: usize,
    },
    /// Show a task's state, attempts and error; or a group's state
    Show {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
    },
    /// Show why a task waits, peer by peer, or how it ended; for a group, why its tasks wait, and
    /// which failed first. Exit code 6: no connected worker can run the task, or some tasks of the
    /// group
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
        /// Put the result into this folder instead, or each result of a group; as for `wait`
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Submit an unsuccessful task again. For a group, submit its failed, expired and cancelled
    /// tasks as a new group
    Retry {
        /// Id, unique end of an id, or `last`
        #[arg(value_parser = values::name)]
        task: String,
        /// Accepted for clarity: a group's retry never includes tasks that succeeded, because their
        /// inputs are not kept
        #[arg(long, hide = true)]
        only_failed: bool,
    },
    /// Cancel tasks, or groups with all their tasks. A cancelled group accepts no more tasks
    Cancel {
        /// Tasks and groups: ids, unique ends of ids, `last`, or `all`, which is every open task of
        /// this node
        #[arg(value_name = "TASK", required = true, value_parser = values::name)]
        tasks: Vec<String>,
        /// The reason; at most 1,024 bytes, or 128 bytes for a group
        #[arg(long, default_value = "")]
        reason: String,
    },
}
