//! The command line: verbs and flags, nothing of what they do.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// What every verb takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs by what they are for; a test compares it with [`Verb`].
const HELP: &str = "\
meshwork - {about}

{usage-heading} {usage}

START HERE
  up        start this node in the foreground       down     stop it
  status    this node, its peers, what needs attention
  demo      see it work, on this machine alone
RUN THINGS
  run       submit a task, wait for it, print its result
  submit    submit tasks, print an id               wait     wait for tasks
  task      list | groups | show | explain | result | retry | cancel
  drain     take no new work, hand back what waits  accept   say whose work runs here
SEE THE NETWORK
  peers     list | show | find | dial | trust | untrust | name | block | unblock | disconnect | forget
  ping      measure round trips
  handlers  what can be run here and on peers       events   what happens, as it happens
MEASURE
  bench     how fast it is, on this machine alone   version  what this is
  metrics   the node's figures, for Prometheus
SET UP
  completions  a script with which a shell completes verbs and flags
  store     backup | restore | verify | stats | salvage | compact: the tasks that a node keeps

OPTIONS
{options}

A task is named by `last`, its id, or any unique end of it. INPUT is @PATH (a file), - (standard
input) or text. Exit codes: 0 done, 1 failed, 2 usage, 3 daemon not reachable, 4 not found,
5 denied, 6 nobody may run it, 130 interrupted; `run` and `wait` on one task or group: 0-123 how
it ended (2 also a wrong command line), 124 a time limit, 125 any own failure, 126 refused,
127 no such handler.
";

/// Flags of every verb.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Folder of the node: its key, its socket, all it keeps [default:
    /// $XDG_STATE_HOME/meshwork]
    #[arg(long, global = true, env = "MESHWORK_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON with stable fields
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print ids only, and no talk on standard error
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print no colours, as with NO_COLOR in the environment
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Log more to standard error; twice for still more. MESHWORK_LOG sets it in detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start this node in the foreground
    Up(Box<UpArgs>),
    /// Stop the node: what runs there may end first
    Down(DownArgs),
    /// Accept no new work, hand back what waits
    Drain(DrainArgs),
    /// Say whose work runs here
    Accept(AcceptArgs),
    /// Show this node, its peers, and what needs attention
    Status,
    /// See and trust other nodes
    Peers(PeersArgs),
    /// Measure the round-trip time to a peer and show the path
    Ping(PingArgs),
    /// Show what can be run here and on peers
    Handlers {
        /// Show all that is known of this one, such as text/word-count
        #[arg(value_parser = values::name)]
        handler: Option<String>,
    },
    /// Print what happens, as it happens
    Events(EventsArgs),
    /// Submit a task, wait for its end, print its result
    Run(Box<RunArgs>),
    /// Submit a task, or a group of them, and print its id
    Submit(Box<SubmitArgs>),
    /// Wait until tasks have ended
    Wait(WaitArgs),
    /// See, read, retry and cancel tasks
    Task(TaskArgs),
    /// Count words with one owner and three workers, on this machine alone
    Demo(DemoArgs),
    /// Measure tasks per second and latency, on this machine alone
    Bench(BenchArgs),
    /// Look at the journal of a node, copy it, and mend it while the node is stopped
    Store(StoreArgs),
    /// Print what the node measures, as Prometheus text
    Metrics,
    /// Print a script with which the shell completes verbs and flags
    #[command(after_long_help = "\
Examples:
  meshwork completions bash > ~/.local/share/bash-completion/completions/meshwork
  meshwork completions fish > ~/.config/fish/completions/meshwork.fish
  source <(meshwork completions zsh)")]
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Print the version, the commit and the features that the program was built from
    Version,
    /// A worker of `demo`; started by it
    #[command(hide = true)]
    DemoWorker {
        /// Address of the owner, with its peer id.
        address: meshwork_core::Multiaddr,
    },
    /// One process of `bench`; started by it
    #[command(hide = true)]
    BenchRole(RoleArgs),
}

impl Verb {
    /// Whether the verb ends with the exit code of one task, so that its own failures need codes
    /// of their own.
    pub(crate) fn ends_as_its_task(&self) -> bool {
        matches!(self, Self::Run(_))
            || matches!(self, Self::Submit(args) if args.wait)
            || matches!(self, Self::Wait(args) if args.is_one())
    }
}
