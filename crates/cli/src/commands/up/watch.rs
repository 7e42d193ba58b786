//! Lines about peers that connect and leave, limited in number so that they do not fill a log.

use std::time::Duration;

use meshwork_core::PeerId;
use meshwork_node::{
    COPIED_KEY_ADVICE, KeyCopied, KeyEvidence, NetworkEvent, NetworkManager, Overload, Subscription,
};
use tokio::time::Instant;

use super::is_news;
use crate::{
    limits,
    output::{Output, format},
};

#[cfg(test)]
mod tests;

/// Prints the events of a node as lines.
pub(super) struct Watch {
    events: Subscription,
    throttle: Throttle,
}

impl Watch {
    pub(super) fn new(events: Subscription) -> Self {
        Self { events, throttle: Throttle::new(Instant::now()) }
    }

    /// Prints lines until the node has stopped.
    pub(super) async fn lines(&mut self, manager: &NetworkManager, out: &Output) {
        while let Some(event) = self.events.next().await {
            if out.quiet || !is_news(&event) {
                continue;
            }
            match self.throttle.allow(Instant::now()) {
                Allowed::No => continue,
                Allowed::Yes { kept_back: 0 } => {}
                Allowed::Yes { kept_back } => out.say(format!("  {kept_back} lines left out")),
            }
            if let Some(line) = line(&event, manager).await {
                out.say(line);
            }
        }
    }
}

async fn line(event: &NetworkEvent, manager: &NetworkManager) -> Option<String> {
    Some(match event {
        NetworkEvent::PeerDiscovered { peer, addresses } => {
            let at = addresses.first().map(|address| format!(" at {address}")).unwrap_or_default();
            format!("+ found {}{at}", format::short_peer(&peer.to_string()))
        }
        NetworkEvent::PeerReady { peer } => ready(*peer, manager).await,
        NetworkEvent::PeerDisconnected { peer, why } => {
            let why = why.as_deref().map(|why| format!(": {}", format::printable(why)));
            format!("- lost {}{}", label(*peer, manager).await.0, why.unwrap_or_default())
        }
        NetworkEvent::AddressFailed { address, why } => {
            let address = address.as_ref().map(ToString::to_string).unwrap_or_default();
            if why.contains(&address) {
                format!("! {}", format::printable(why))
            } else {
                format!("! {address}: {}", format::printable(why))
            }
        }
        NetworkEvent::Overloaded(overload @ Overload::Peers { .. }) => {
            format!("! {overload}: see meshwork status")
        }
        NetworkEvent::Overloaded(overload) => format!("! {overload}"),
        NetworkEvent::KeyCopied(copied) => format!("! {}", copied_key(copied, manager).await),
        NetworkEvent::Lagged(missed) => format!("  {missed} events were missed"),
        NetworkEvent::Listening { .. }
        | NetworkEvent::PeerConnected { .. }
        | NetworkEvent::TaskChanged { .. }
        | NetworkEvent::TaskProgress { .. }
        | _ => return None,
    })
}

/// The text of a copied key, with the names of peers.
async fn copied_key(copied: &KeyCopied, manager: &NetworkManager) -> String {
    let what = match &copied.evidence {
        KeyEvidence::Alternates => {
            format!("two machines use the key of {}", label(copied.peer, manager).await.0)
        }
        KeyEvidence::SaidBy(by) => {
            let by = label(*by, manager).await.0;
            format!("{by} says that another machine uses the key of this node")
        }
        KeyEvidence::Reached(_) | KeyEvidence::Came(_) => return copied.to_string(),
    };
    format!("{what}; {COPIED_KEY_ADVICE}")
}

async fn ready(peer: PeerId, manager: &NetworkManager) -> String {
    let (label, trusted) = label(peer, manager).await;
    let advice = if trusted {
        String::new()
    } else {
        format!(" - not trusted yet: meshwork peers trust {peer}")
    };
    format!("+ ready {label}{advice}")
}

/// A peer's name and short id, and whether this node trusts it.
async fn label(peer: PeerId, manager: &NetworkManager) -> (String, bool) {
    let short = format::short_peer(&peer.to_string());
    let peers = manager.get_peers().await.unwrap_or_default();
    let Some(info) = peers.into_iter().find(|info| info.peer_id == peer) else {
        return (short, false);
    };
    match info.name() {
        Some(name) => (format!("{} ({short})", format::printable(name)), info.trusted),
        None => (short, info.trusted),
    }
}

/// Allows at most [`limits::PEER_LINES`] lines in a minute.
#[derive(Debug)]
struct Throttle {
    minute: Instant,
    printed_lines: u32,
    kept_back: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    No,
    /// Lines that were left out since the last allowed one.
    Yes {
        kept_back: u64,
    },
}

impl Throttle {
    fn new(now: Instant) -> Self {
        Self { minute: now, printed_lines: 0, kept_back: 0 }
    }

    fn allow(&mut self, now: Instant) -> Allowed {
        if now.duration_since(self.minute) >= Duration::from_secs(60) {
            self.minute = now;
            self.printed_lines = 0;
        }
        if self.printed_lines >= limits::PEER_LINES {
            self.kept_back += 1;
            return Allowed::No;
        }
        self.printed_lines += 1;
        Allowed::Yes { kept_back: std::mem::take(&mut self.kept_back) }
    }
}
