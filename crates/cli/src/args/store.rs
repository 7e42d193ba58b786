//! `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Look at the journal of a node, copy it, and mend it while the node is stopped.
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
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Read all of it, and say whether it is whole
    Verify,
    /// Say what is in it
    Stats,
    /// Go on without what is damaged, which is kept beside it as it was
    Salvage,
    /// Make the file as small as what is in it
    Compact,
    /// Copy it to a folder, also while the node runs. The folder can be verified as a --home; the
    /// node's key is not in it
    Backup {
        /// A folder, which is made if there is none
        dir: PathBuf,
    },
    /// Make a copy the journal of the node. What ended since the copy was made runs again; what was
    /// accepted since is not known any more
    Restore {
        /// The folder with the copy
        dir: PathBuf,
        /// Put aside the journal that is there
        #[arg(long)]
        yes: bool,
    },
}
