//! `down` and `drain`.

use clap::Args;

/// Stop the node: it takes no new work and hands back what waits; what runs there may end within
/// the node's grace (see `up --grace`), and is handed back after it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DownArgs {
    /// Stop and hand back what runs there at once
    #[arg(long)]
    pub(crate) now: bool,
}

/// Take no new work, and hand back what waits here. What runs goes on, and this node's own tasks
/// still run on others. Lasts until `drain --off`, or the next start.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DrainArgs {
    /// Take work again
    #[arg(long)]
    pub(crate) off: bool,
}
