//! The blob protocol: pieces of files, by the hash of the file.
//!
//! The node that needs a blob opens a stream to a node that has it, a *provider*, and sends one
//! request after the other. The provider asks its node about each: a hash is an address and not a
//! right. It answers with the pieces of the requested ranges or with a refusal. The files in reading
//! order: `wire` (messages), `places` (bounds), `error`, `fetch` and `serve` (the two ends of a
//! stream), `blobs` (all streams).
//!
//! Absent on purpose: which node has a blob and who may read it (the node), the choice of another
//! provider after an error (the node), and the verification of pieces (`meshwork-blob`).

pub(crate) mod blobs;
pub mod error;
pub mod fetch;
pub(crate) mod places;
pub mod serve;
pub(crate) mod wire;

#[cfg(test)]
mod tests;
