//! `store`.

use clap::{Args, Subcommand};

/// Look at the journal of a node that is stopped, and mend it.
///
/// The journal is where a node keeps tasks and results (see --home). A node that finds its journal
/// damaged does not start.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: StoreVerb,
}

/// What can be done with a journal.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Read all of it, and say whether it is whole
    Verify,
    /// Say what is in it
    Stats,
    /// Go on without what is damaged, which is kept beside it as it was
    Salvage,
    /// Make the file as small as what is in it
    Compact,
}
