//! Handlers as a node knows them: what can be run, and by whom.

use serde::{Deserialize, Serialize};

/// A handler that the node, or a peer that it knows, offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerView {
    /// What a task names, `family/operation`.
    pub name: String,
    /// What it does, in a sentence; none where nothing is known but its name.
    pub summary: Option<String>,
    /// The parameters that it takes, as far as they are known.
    pub params: Vec<ParamView>,
    /// Whether it is known that a task without `input` is refused.
    #[serde(default)]
    pub needs_input: bool,
    /// Who offers it: the node itself first, then peers that are ready and trusted; of many only
    /// the first.
    pub offers: Vec<OfferView>,
    /// How many offer it in all.
    pub offer_count: u64,
}

/// A parameter of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamView {
    /// As it is written in `--param NAME=VALUE`.
    pub name: String,
    /// What kind of value it takes.
    pub kind: String,
    /// Whether the handler fails without it.
    pub required: bool,
    /// What it is if it is not given.
    pub default: Option<String>,
    /// What it is for.
    pub doc: String,
}

/// Somebody who offers a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// Who.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// Its name, if it is known.
    pub name: Option<String>,
    /// Whether it is the node itself.
    pub here: bool,
    /// Whether it can be given work now.
    pub ready: bool,
    /// Whether the node trusts it, so that tasks without a target may run there.
    pub trusted: bool,
}
