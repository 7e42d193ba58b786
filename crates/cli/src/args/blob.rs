//! `blob`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

/// Add, get, list and remove the files and folders of a node.
///
/// A file or folder is known by the hash of its bytes. It stays while a task needs it or it is
/// pinned, and a new one for an hour at least; others leave when space is needed. HASH is a hash, or
/// its unique start of at least 6 digits.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork blob add photos/ notes.txt
  meshwork blob pin 3b1f09
  meshwork blob get 3b1f09 -o copy
  meshwork blob rm $(meshwork blob list -q)")]
pub(crate) struct BlobArgs {
    /// The verb.
    #[command(subcommand)]
    pub(crate) verb: BlobVerb,
}

/// The verbs of `blob`.
#[derive(Debug, Subcommand)]
pub(crate) enum BlobVerb {
    /// Add files and folders, and print their hashes
    Add {
        /// Send what the links in a folder lead to in their place. Without it, links that stay inside
        /// are kept, and others are refused
        #[arg(long)]
        follow_links: bool,
        /// Files and folders
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Write a file or folder
    Get {
        /// Hash, or its unique start
        #[arg(value_parser = values::name)]
        hash: String,
        /// Where to; must not exist. Default: standard output, for a file
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
    },
    /// List the blobs: files, and the lists of folders
    List,
    /// Keep a blob without a task that needs it
    Pin {
        /// Hash, or its unique start
        #[arg(value_parser = values::name)]
        hash: String,
    },
    /// Undo `pin`
    Unpin {
        /// Hash, or its unique start
        #[arg(value_parser = values::name)]
        hash: String,
    },
    /// Remove blobs, unless a task or a folder needs them
    Rm {
        /// Hashes, or their unique starts
        #[arg(value_name = "HASH", required = true, value_parser = values::name)]
        hashes: Vec<String>,
    },
    /// Remove all blobs that nothing needs and nobody pinned, except for new ones
    Gc,
}
