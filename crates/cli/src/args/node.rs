//! `accept`, `down` and `drain`.

use clap::Args;

use super::values::{self, AcceptRule};

/// Stop the node: it takes no new work and hands back what waits; what runs there may end within
/// the node's grace (see `up --grace`), and is handed back after it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DownArgs {
    /// Stop and hand back what runs there at once
    #[arg(long)]
    pub(crate) now: bool,
}

/// Say whose work runs here, from now on and after a restart; without RULE, show it. It is kept in
/// config.toml in the home; a rule by flag or environment of the next start goes before it.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork accept
  meshwork accept text=listed debug=nobody
  meshwork accept text=anyone")]
pub(crate) struct AcceptArgs {
    /// nobody, listed (peers that are trusted) or anyone; without FAMILY= for every family that the
    /// node has but command and exec
    #[arg(value_name = "FAMILY=WHO", value_parser = values::accept)]
    pub(crate) rules: Vec<AcceptRule>,
}

/// Take no new work, and hand back what waits here. What runs goes on, and this node's own tasks
/// still run on others. Lasts until `drain --off`, or the next start.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DrainArgs {
    /// Take work again
    #[arg(long)]
    pub(crate) off: bool,
}
