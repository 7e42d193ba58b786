//! `events`.

use clap::Args;

/// Print the events of this node as they occur, until Ctrl-C.
///
/// A lost connection is reopened, and no event is left out unless the node has dropped it by then;
/// a line then gives the number of missing events.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork events
  meshwork events --type task.failed --type peer.
  meshwork events --json | jq -r 'select(.type == \"peer.ready\").peer'")]
pub(crate) struct EventsArgs {
    /// Only these types, such as task.failed, or types with this start, such as `task.`
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = super::values::name)]
    pub(crate) types: Vec<String>,
}
