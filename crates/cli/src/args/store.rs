//! `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Inspect, copy or repair a node's journal. Stop the node first, except for `backup`.
///
/// The journal is where a node keeps its tasks and results (see --home). A node with a damaged
/// journal does not start.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// The verb
    #[command(subcommand)]
    pub(crate) verb: StoreVerb,
}

/// The verbs of `store`.
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
    /// Copy the journal to a folder, also while the node runs. The folder can be verified as a
    /// --home; it does not contain the node's key
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
