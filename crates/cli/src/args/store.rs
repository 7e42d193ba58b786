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
    /// Read the whole journal and report damage
    Verify,
    /// Show what the journal holds
    Stats,
    /// Remove damaged records; the damaged file is kept beside the journal
    Salvage,
    /// Shrink the file to what it holds
    Compact,
    /// Copy it to a folder, also while the node runs. The folder can be verified as a --home; the
    /// node's key is not in it
    Backup {
        /// Folder for the copy; it is created if missing
        dir: PathBuf,
    },
    /// Replace the node's journal with a backup. Tasks that ended since the backup run again; tasks that
    /// were accepted since are lost
    Restore {
        /// Folder with the backup
        dir: PathBuf,
        /// Replace a journal that exists; it is kept beside the new one
        #[arg(long)]
        yes: bool,
        /// The node whose journal the copy must be [default: the node of this home]
        #[arg(long, value_name = "ID")]
        node: Option<meshwork_core::PeerId>,
    },
}
