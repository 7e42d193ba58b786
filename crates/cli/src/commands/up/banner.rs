//! The banner that `up` prints when the node is ready: text on standard error, or with `--json` one
//! line on standard output.

use meshwork_api::NodeView;
use meshwork_node::NetworkManager;

use crate::{
    home::Home,
    output::{Output, format},
};

pub(super) fn print(manager: &NetworkManager, home: &Home, out: &Output) -> anyhow::Result<()> {
    let node: NodeView = manager.status()?.into();
    if out.json {
        return out.value(&serde_json::json!({
            "peer": node.peer_id,
            "name": node.name,
            "network": node.network,
            "addresses": node.addresses,
            // Lossy, because JSON can only hold UTF-8.
            "socket": home.socket().to_string_lossy(),
        }));
    }
    out.say(text(&node, home));
    Ok(())
}

fn text(node: &NodeView, home: &Home) -> String {
    let mut text = format!(
        "meshwork {}   node  {} ({})   network  {}\n",
        node.version, node.name, node.peer_id, node.network
    );
    for address in &node.addresses {
        text.push_str(&format!("  listening  {address}\n"));
    }
    let capacity = &node.capacity;
    text.push_str(&format!(
        "  offers     {} slots, {} CPUs, {}, {} GPUs\n  accepts    {}\n  home       {}",
        capacity.slots,
        capacity.cpus,
        format::size(capacity.memory_bytes),
        capacity.gpus,
        accepts(node),
        home.dir().display(),
    ));
    text
}

/// The policy of each family of this node's handlers.
fn accepts(node: &NodeView) -> String {
    let rules = node.accept.iter().map(|(family, accept)| format!("{family}: {accept}"));
    rules.collect::<Vec<_>>().join("  ")
}
