//! `events`.

use clap::Args;

/// Print what happens at this node, as it happens, until Ctrl-C.
///
/// A connection that breaks is made again, and nothing is left out unless the node has forgotten it
/// by then; a line then says how much is missing.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork events
  meshwork events --type task.failed --type peer.
  meshwork events --json | jq -r 'select(.type == \"peer.ready\").peer'")]
pub(crate) struct EventsArgs {
    /// Only these types, such as task.failed, or all that start so, such as `task.`
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = super::values::name)]
    pub(crate) types: Vec<String>,
}
