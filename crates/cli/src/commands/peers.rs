//! `peers`.

use chrono::{DateTime, Utc};
use meshwork::peer::ResourceUsage;
use meshwork_api::{Client, FindRequest, List, PeerPatch, PeerView, TrustAnswer};

use super::spec;
use crate::{
    args::PeersVerb,
    exit,
    output::{Output, Table, format},
};

#[cfg(test)]
mod tests;

pub(super) async fn peers(
    verb: Option<PeersVerb>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    match verb.unwrap_or(PeersVerb::List) {
        PeersVerb::List => list(client, out).await?,
        PeersVerb::Show { peer } => show(&client.peer(&peer).await?, out)?,
        PeersVerb::Find { handler, capability, label, limit } => {
            let labels = spec::by_name("--label", label)?;
            let request = FindRequest { handler, capability, labels, limit: Some(limit) };
            return find(&request, client, out).await;
        }
        PeersVerb::Dial { address } => {
            let answer = client.dial(&address).await?;
            if out.json {
                out.value(&answer)?;
            } else {
                out.say(format!("connected to {address}"));
                out.line(answer.peer_id)?;
            }
        }
        PeersVerb::Trust { peer } => trust(&peer, true, client, out).await?,
        PeersVerb::Untrust { peer } => trust(&peer, false, client, out).await?,
        PeersVerb::Name { peer, name } => {
            let name = Some(name.unwrap_or_default());
            let patch = PeerPatch { name, ..PeerPatch::default() };
            decided(&client.change_peer(&peer, &patch).await?, out, |answer| match &answer.name {
                Some(name) => format!("is called {} here", format::printable(name)),
                None => "has no name here".to_owned(),
            })?;
        }
        PeersVerb::Block { peer } => block(&peer, true, client, out).await?,
        PeersVerb::Unblock { peer } => block(&peer, false, client, out).await?,
        PeersVerb::Disconnect { peer } => {
            decided(&client.disconnect(&peer).await?, out, |answer| {
                format!(
                    "is disconnected; either side may connect again. To prevent that: meshwork peers \
                     block {}",
                    answer.peer_id
                )
            })?;
        }
        PeersVerb::Forget { peer } => {
            decided(&client.forget_peer(&peer).await?, out, |_| "is forgotten".to_owned())?;
        }
    }
    Ok(exit::DONE)
}

async fn list(client: &Client, out: &Output) -> anyhow::Result<()> {
    let peers = client.peers().await?;
    if peers.items.is_empty() && !out.json {
        out.say("no peers yet: meshwork peers dial ADDR");
        return Ok(());
    }
    print(&peers, out)
}

async fn find(request: &FindRequest, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let found = client.find_peers(request).await?;
    print(&found, out)?;
    if !found.items.is_empty() {
        return Ok(exit::DONE);
    }
    out.say("neither this node nor the peers that it asked know a matching peer");
    out.say("a peer shows its handlers only to peers whose tasks it accepts: meshwork peers");
    Ok(exit::NOT_FOUND)
}

fn print(peers: &List<PeerView>, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return out.value(peers);
    }
    if out.quiet {
        for peer in &peers.items {
            out.line(&peer.peer_id)?;
        }
        return Ok(());
    }
    if peers.items.is_empty() {
        return Ok(());
    }
    Ok(table(&peers.items, out).print(out)?)
}

/// A table of peers; programs get full ids and times.
pub(super) fn table(peers: &[PeerView], out: &Output) -> Table {
    let mut table = Table::new(&[
        "PEER",
        "ID",
        "STATE",
        "TRUST",
        "RTT",
        "TASKS THERE",
        "TASKS HERE",
        "RUNS",
        "LAST SEEN",
    ]);
    for peer in peers {
        let people = out.stdout_tty;
        table.row([
            peer.name.clone().unwrap_or_default(),
            if people { format::short_peer(&peer.peer_id) } else { peer.peer_id.clone() },
            peer.state.to_string(),
            standing(peer).to_owned(),
            peer.latency_us.map(format::micros).unwrap_or_default(),
            peer.assigned.to_string(),
            peer.held.to_string(),
            peer.families().join(" "),
            if people {
                last_seen(peer.last_seen, meshwork_node::time_of_day())
            } else {
                format::time(peer.last_seen)
            },
        ]);
    }
    table
}

/// The user's decision about a peer: `blocked`, `trusted` or nothing.
fn standing(peer: &PeerView) -> &'static str {
    match (peer.blocked, peer.trusted) {
        (true, _) => "blocked",
        (false, true) => "trusted",
        (false, false) => "",
    }
}

/// How long ago a peer was last seen, or `never`.
pub(super) fn last_seen(last: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if last == DateTime::UNIX_EPOCH { "never".to_owned() } else { format::ago(last, now) }
}

fn show(peer: &PeerView, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return out.value(peer);
    }
    if out.quiet {
        return Ok(out.line(&peer.peer_id)?);
    }
    Ok(out.data(described(peer, meshwork_node::time_of_day()).as_bytes())?)
}

/// Everything known about a peer, one line for each field.
fn described(peer: &PeerView, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12}{}\n", format::printable(value)));
        }
    };
    line("peer", &peer.peer_id);
    line("name", peer.name.as_deref().unwrap_or_default());
    line("state", peer.state.as_str());
    line("why", peer.why.as_deref().unwrap_or_default());
    line("trusted", if peer.trusted { "yes" } else { "no" });
    line("blocked", if peer.blocked { "yes" } else { "" });
    line("last seen", &last_seen(peer.last_seen, now));
    line("round trip", &peer.latency_us.map(format::micros).unwrap_or_default());
    line("software", peer.agent.as_deref().unwrap_or_default());
    line("handlers", &peer.handlers.join(" "));
    line("capable of", &peer.capabilities.join(" "));
    let labels: Vec<String> =
        peer.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    line("labels", &labels.join(" "));
    if let Some(capacity) = &peer.capacity {
        let memory = format::size(capacity.memory_bytes);
        let what = format!(
            "{} slots, {} CPUs, {memory}, {} GPUs",
            capacity.slots, capacity.cpus, capacity.gpus
        );
        line("offers", &what);
    }
    if let Some(usage) = &peer.resources {
        line("uses", &used(usage, now));
    }
    if let Some(health) = &peer.health {
        line("health", health.status.as_str());
        for reason in &health.reasons {
            line("", reason);
        }
    }
    if peer.reputation != 0 {
        line("reputation", &format!("{:+} (range -100 to 100)", peer.reputation));
    }
    line("tasks", &format!("{} of yours there, {} of its here", peer.assigned, peer.held));
    for (nth, (protocol, bytes)) in peer.traffic.iter().enumerate() {
        let (sent, received) = (format::size(bytes.sent), format::size(bytes.received));
        let name = if nth == 0 { "traffic" } else { "" };
        line(name, &format!("{}: {sent} sent, {received} received", protocol.as_str()));
    }
    for address in &peer.addresses {
        line("address", address);
    }
    text
}

/// A machine's resource usage and its age.
fn used(usage: &ResourceUsage, now: DateTime<Utc>) -> String {
    format!(
        "{:.0} % of the CPUs, load {:.1}, {} of {} memory and {} of {} disk free, {} slots free; {}",
        usage.cpu_used * 100.0,
        usage.load,
        format::size(usage.memory_free_bytes),
        format::size(usage.memory_bytes),
        format::size(usage.disk_free_bytes),
        format::size(usage.disk_bytes),
        usage.slots_free,
        format::ago(usage.measured_at, now),
    )
}

/// Which tasks may run in each direction after trusting a peer or not. `own_id` is this node's id.
fn consequence(answer: &TrustAnswer, own_id: &str) -> String {
    let TrustAnswer { trusted, accepts, offers, .. } = answer;
    let accepts = accepts.join(", ");
    let theirs = match (trusted, accepts.as_str()) {
        (_, "") => "its tasks do not run here".to_owned(),
        (true, families) => format!("its {families} tasks may run here"),
        (false, families) => {
            format!("its {families} tasks still run here (the policy accepts anyone)")
        }
    };
    if !trusted {
        return format!("is not trusted: {theirs}, and tasks of this node go there with --on only");
    }
    let ours = match offers.as_deref() {
        None => "this node connects to it when it is found; then it reports whether it accepts \
                 tasks of this node"
            .to_owned(),
        Some([]) => {
            format!(
                "it accepts no tasks of this node yet; run there: meshwork peers trust {own_id}"
            )
        }
        Some(families) => format!("{} tasks of this node may run there", families.join(", ")),
    };
    format!("is trusted: {theirs}, and {ours}")
}

async fn block(peer: &str, on: bool, client: &Client, out: &Output) -> anyhow::Result<()> {
    let patch = PeerPatch { block: Some(on), ..PeerPatch::default() };
    decided(&client.change_peer(peer, &patch).await?, out, |answer| {
        if answer.blocked {
            "is blocked: connections to it are denied, and it is not trusted".to_owned()
        } else {
            "is not blocked, and may connect again; it is not trusted".to_owned()
        }
    })
}

/// Prints a decision about a peer: its name and id, followed by `words`.
fn decided(
    answer: &TrustAnswer,
    out: &Output,
    words: impl FnOnce(&TrustAnswer) -> String,
) -> anyhow::Result<()> {
    if out.json {
        return out.value(answer);
    }
    // Also the id, because a peer chooses its own name.
    let label = match &answer.name {
        Some(name) => format!("{} ({})", format::printable(name), answer.peer_id),
        None => answer.peer_id.clone(),
    };
    out.say(format!("{label} {}", words(answer)));
    if out.quiet {
        out.line(&answer.peer_id)?;
    }
    Ok(())
}

async fn trust(peer: &str, trust: bool, client: &Client, out: &Output) -> anyhow::Result<()> {
    let answer = client.trust(peer, trust).await?;
    let own_id = client.node().await?.peer_id;
    decided(&answer, out, |answer| consequence(answer, &own_id))
}
