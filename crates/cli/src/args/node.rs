//! `accept`, `down` and `drain`.

use clap::Args;

use super::values::{self, AcceptRule};

/// Stop the node. It accepts no new work and hands back attempts that have not started. Running
/// attempts may finish within the node's grace (see `up --grace`); then they are handed back.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DownArgs {
    /// Hand back running attempts at once
    #[arg(long)]
    pub(crate) now: bool,
}

/// Set whose work runs here, from now on and after a restart; without rules, show them. The rules are
/// saved in config.toml in the home. A flag or variable of the next start overrides them.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork accept
  meshwork accept text=listed debug=nobody
  meshwork accept text=anyone")]
pub(crate) struct AcceptArgs {
    /// nobody, listed (trusted peers) or anyone; without FAMILY= for every family of the node
    /// except command and exec
    #[arg(value_name = "FAMILY=POLICY", value_parser = values::accept)]
    pub(crate) rules: Vec<AcceptRule>,
}

/// Accept no new work, and hand back attempts that have not started. Running attempts finish, and
/// this node's own tasks still run on other nodes. Lasts until `drain --off`, or the next start.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DrainArgs {
    /// Accept work again
    #[arg(long)]
    pub(crate) off: bool,
}
