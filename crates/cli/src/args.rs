//! The command line: verbs and flags, without their effects.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod blob;
mod events;
mod node;
mod peers;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod up;
pub(crate) mod values;

pub(crate) use self::{
    blob::{BlobArgs, BlobVerb},
    events::EventsArgs,
    node::{AcceptArgs, DownArgs, DrainArgs},
    peers::{PeersArgs, PeersVerb, PingArgs},
    store::{StoreArgs, StoreVerb},
    task::{ALL, RunArgs, SubmitArgs, TaskArgs, TaskVerb, WaitArgs},
    up::UpArgs,
    values::Array,
};
use crate::{
    bench::{BenchArgs, RoleArgs},
    demo::DemoArgs,
};

/// Peer-to-peer task network.
#[derive(Debug, Parser)]
#[command(
    name = "meshwork",
    version = crate::version::LINE,
    about = "peer-to-peer task network",
    help_template = HELP,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The verb.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs by purpose; a test compares them with [`Verb`].
const HELP: &str = "\
meshwork - {about}

{usage-heading} {usage}

START HERE
  up        start this node in the foreground       down     stop the node
  status    show this node, its peers, its problems
  demo      run an example on this machine only
RUN THINGS
  run       submit a task, wait for it, print its result
  submit    submit tasks, print an id               wait     wait for tasks
  task      list | groups | show | explain | result | retry | cancel
  blob      add | get | list | pin | unpin | rm | gc
  drain     accept no new work, finish the rest     accept   set whose work runs here
SEE THE NETWORK
  peers     list | show | find | dial | trust | untrust | name | block | unblock | disconnect | forget
  ping      measure round trips
  handlers  list handlers here and on peers         events   print events as they occur
MEASURE
  bench     measure speed on this machine only      version  print version and commit
  metrics   print metrics for Prometheus
SET UP
  completions  print a script for shell completion
  store     backup | restore | verify | stats | salvage | compact: the node's journal

OPTIONS
{options}

TASK is `last`, an id, or the unique end of an id. INPUT is @PATH (a file or folder), - (standard
input) or text. Exit codes: 0 success, 1 failure, 2 wrong usage, 3 node not reachable, 4 not found, 5 denied,
6 no worker can run the task, 130 interrupted. `run`, and `wait` on one task or group: 0-123 as the
task ended (2 also for wrong usage), 124 time limit, 125 failure of the command, 126 task or input
refused, 127 unknown handler.
";

/// Flags of every verb.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Home of the node: its key, its socket, its tasks [default: $XDG_STATE_HOME/meshwork]
    #[arg(long, global = true, env = "MESHWORK_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON with stable fields
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print ids only, and no messages on standard error
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print no colours, as if NO_COLOR were set
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Log more to standard error; repeat for even more. MESHWORK_LOG sets a filter instead
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start this node in the foreground
    Up(Box<UpArgs>),
    /// Stop the node; running attempts may finish first
    Down(DownArgs),
    /// Accept no new work, and hand back attempts that have not started
    Drain(DrainArgs),
    /// Set whose work runs here
    Accept(AcceptArgs),
    /// Show this node, its peers and its problems
    Status,
    /// List, find and trust other nodes
    Peers(PeersArgs),
    /// Measure the round-trip time to a peer, and show the path
    Ping(PingArgs),
    /// List handlers of this node and its peers
    Handlers {
        /// Show one handler in detail, such as text/word-count
        #[arg(value_parser = values::name)]
        handler: Option<String>,
    },
    /// Print events as they occur
    Events(EventsArgs),
    /// Submit a task, wait for its end, and print its result
    Run(Box<RunArgs>),
    /// Submit a task, or a group of them, and print its id
    Submit(Box<SubmitArgs>),
    /// Wait until tasks have ended
    Wait(WaitArgs),
    /// List, show, retry and cancel tasks
    Task(TaskArgs),
    /// Add, get, list and remove files and folders
    Blob(BlobArgs),
    /// Count words with one owner and three workers on this machine
    Demo(DemoArgs),
    /// Measure tasks per second and latency on this machine
    Bench(BenchArgs),
    /// Inspect, copy or repair a node's journal
    Store(StoreArgs),
    /// Print the node's metrics as Prometheus text
    Metrics,
    /// Print a script for shell completion of verbs and flags
    #[command(after_long_help = "\
Examples:
  meshwork completions bash > ~/.local/share/bash-completion/completions/meshwork
  meshwork completions fish > ~/.config/fish/completions/meshwork.fish
  source <(meshwork completions zsh)")]
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Print the version, commit and features of this program
    Version,
    /// A worker of `demo`, which starts it
    #[command(hide = true)]
    DemoWorker {
        /// Address of the owner, with its peer id
        address: meshwork_core::Multiaddr,
    },
    /// One process of `bench`, which starts it
    #[command(hide = true)]
    BenchRole(RoleArgs),
}

impl Verb {
    /// Whether the exit code is that of one task. The command's own failures then have separate
    /// codes.
    pub(crate) fn ends_as_its_task(&self) -> bool {
        matches!(self, Self::Run(_))
            || matches!(self, Self::Submit(args) if args.wait)
            || matches!(self, Self::Wait(args) if args.is_one())
    }
}
