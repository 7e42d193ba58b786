//! Handlers that the node and its peers offer.

use serde::{Deserialize, Serialize};

/// A handler that the node, or a known peer, offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerView {
    /// The handler's name in a task, `family/operation`.
    pub name: String,
    /// A description in one sentence, if it is known.
    pub summary: Option<String>,
    /// The handler's parameters, as far as they are known.
    pub params: Vec<ParamView>,
    /// Whether the handler is known to refuse tasks without `input`.
    #[serde(default)]
    pub needs_input: bool,
    /// Nodes that offer the handler: this node first, then peers that are ready and trusted, then
    /// others. A long list is cut at its end.
    pub offers: Vec<OfferView>,
    /// Number of nodes that offer the handler.
    pub offer_count: u64,
}

/// A parameter of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamView {
    /// The name in `--param NAME=VALUE`.
    pub name: String,
    /// The type of its value.
    pub kind: String,
    /// Whether the handler fails without the parameter.
    pub required: bool,
    /// The value if the parameter is absent.
    pub default: Option<String>,
    /// A description of the parameter.
    pub doc: String,
}

/// A node that offers a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// The node's peer id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// The node's name, if it is known.
    pub name: Option<String>,
    /// Whether it is this node itself.
    pub here: bool,
    /// Whether the node can receive tasks now.
    pub ready: bool,
    /// Whether this node trusts it, so that tasks without a target may run there.
    pub trusted: bool,
}
