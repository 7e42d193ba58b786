//! How many blobs a run has, and what happens to them.

/// How many tasks have blobs as inputs and outputs, how much room there is, and what goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobLoad {
    /// Tasks whose input is a blob, per thousand tasks outside groups.
    pub inputs: u32,
    /// Attempts whose output is a blob, per thousand attempts that succeed.
    pub outputs: u32,
    /// Folders, per thousand blobs.
    pub folders: u32,
    /// Tasks of which the owner knows only the hash of another owner's input, per thousand tasks
    /// with a blob.
    pub guesses: u32,
    /// Answers of a dishonest provider that are wrong bytes, per thousand.
    pub lies: u32,
    /// Nodes that speak the version of the protocol without blobs, per thousand.
    pub old_nodes: u32,
    /// Bytes that the blobs of a node may take; the seed takes up to half of it away.
    pub budget: u64,
    /// Maximum number of blob files that are lost or damaged.
    pub damages: u32,
    /// Maximum number of times that the disk of a node is full.
    pub full_disks: u32,
    /// Maximum number of times that a user removes the blobs that nothing needs.
    pub collects: u32,
    /// Maximum number of changes to the budget of a node.
    pub budgets: u32,
    /// How often a node asks another for a blob that it knows the hash of.
    pub snoops: u32,
}

impl BlobLoad {
    /// No blobs.
    pub fn none() -> Self {
        Self {
            inputs: 0,
            outputs: 0,
            folders: 0,
            guesses: 0,
            lies: 0,
            old_nodes: 0,
            budget: meshwork_core::limits::BLOB_BUDGET,
            damages: 0,
            full_disks: 0,
            collects: 0,
            budgets: 0,
            snoops: 0,
        }
    }

    /// Blobs in most tasks, and everything that can go wrong.
    pub fn usual() -> Self {
        Self {
            inputs: 600,
            outputs: 400,
            folders: 350,
            guesses: 120,
            lies: 200,
            old_nodes: 100,
            budget: 1 << 28,
            damages: 5,
            full_disks: 3,
            collects: 6,
            budgets: 4,
            snoops: 300,
        }
    }
}
