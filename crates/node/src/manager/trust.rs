//! The user's decisions about other nodes at run time. They are kept in the home, and in force in the
//! engine before the peers learn of them.

use std::collections::HashSet;

use meshwork_core::{AcceptPolicy, PeerId, Reason, advert::clean, limits as core_limits};
use tokio::sync::oneshot;

use super::NetworkManager;
use crate::{
    config::UnknownFamily,
    driver::{answer::DoneSender, call::Call},
    error::{InternalError, NetworkError},
    home::PeerList,
    limits,
    node::Node,
    policy::{Turn, families},
};

impl NetworkManager {
    /// Trusts a peer, or no longer: a trusted peer counts as listed, and own tasks may be placed
    /// there. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The peer is blocked, 1,024 peers are trusted already, the home cannot be written, or the node
    /// is not running.
    pub async fn trust(&self, peer: PeerId, trust: bool) -> Result<(), NetworkError> {
        self.node.net()?;
        let turn = self.node.policies.turn().await;
        if trust && turn.policy().blocked.contains(&peer) {
            let detail = format!("{peer} is blocked; unblock it first");
            return Err(Reason::Denied { detail }.into());
        }
        set_trusted(&self.node, &turn, peer, trust).await
    }

    /// Denies connections with a peer, or no longer. A blocked peer loses its trust. Kept in the home,
    /// if there is one.
    ///
    /// # Errors
    ///
    /// The home cannot be written, 1,024 peers are blocked already, the peer is this node, or the node
    /// is not running.
    pub async fn block(&self, peer: PeerId, on: bool) -> Result<(), NetworkError> {
        let net = self.node.net()?;
        if peer == self.node.local_peer {
            return Err(Reason::Denied { detail: "a node cannot block itself".to_owned() }.into());
        }
        let turn = self.node.policies.turn().await;
        let mut policy = turn.policy();
        if change(&mut policy.blocked, peer, on, PeerList::Blocked)?
            && let Some(home) = &self.node.home
        {
            let blocked = policy.blocked.iter();
            home.save_peers(PeerList::Blocked, blocked).map_err(InternalError::from)?;
        }
        turn.publish(policy);
        if on {
            set_trusted(&self.node, &turn, peer, false).await?;
        }
        Ok(net.block(peer, on).await?)
    }

    /// Gives a peer a name, which this node prefers to the name that the peer gives itself. An empty
    /// name removes it. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The name has more than 64 bytes or control characters, another peer has it, 1,024 peers have
    /// names already, the home cannot be written, or the node is not running.
    pub async fn name_peer(&self, peer: PeerId, name: &str) -> Result<(), NetworkError> {
        self.node.net()?;
        let name = name.trim();
        let denied = |detail: String| Err(NetworkError::from(Reason::Denied { detail }));
        if clean(name) != name {
            let most = core_limits::LABEL_BYTES;
            return denied(format!("a name has at most {most} bytes, and no control characters"));
        }
        let turn = self.node.policies.turn().await;
        let mut policy = turn.policy();
        let next = &mut policy.names;
        if name.is_empty() {
            next.remove(&peer);
        } else if let Some((other, _)) =
            next.iter().find(|(id, given)| *given == name && **id != peer)
        {
            return denied(format!("{other} was given the name {name:?} before"));
        } else {
            next.insert(peer, name.to_owned());
        }
        if next.len() > limits::NAMED {
            return denied(format!("{} peers have names already", limits::NAMED));
        }
        if let Some(home) = &self.node.home {
            home.save_names(next).map_err(InternalError::from)?;
        }
        turn.publish(policy);
        Ok(())
    }

    /// Forgets a peer: its name, its trust, its addresses and its connection. Unless it is blocked, it
    /// may come back as a stranger.
    ///
    /// # Errors
    ///
    /// The home cannot be written, or the node is not running.
    pub async fn forget_peer(&self, peer: PeerId) -> Result<(), NetworkError> {
        let net = self.node.net()?;
        self.name_peer(peer, "").await?;
        self.trust(peer, false).await?;
        if let Some(on_disk) = &self.node.running()?.on_disk {
            // The keeper has ended if the node is stopping.
            on_disk.book.send(peer).await.ok();
        }
        Ok(net.forget(peer).await?)
    }

    /// Closes the connection with a peer. Either side may connect again, unless it is blocked.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), NetworkError> {
        Ok(self.node.net()?.disconnect(peer).await?)
    }

    /// Accepts tasks by these rules from now on; families that `rules` does not name keep theirs.
    /// Attempts that are already here go on. Kept in `config.toml` in the home, if there is one;
    /// [`NetworkConfig::accept`](crate::NetworkConfig::accept) of the next start takes precedence.
    ///
    /// # Errors
    ///
    /// A rule names a family that the node does not have (`unknown_family`), `config.toml` cannot be
    /// read (`bad_config`) or written, or the node is not running. After an error nothing has changed.
    pub async fn accept(&self, rules: AcceptPolicy) -> Result<(), NetworkError> {
        self.node.net()?;
        let families = families(&self.node.handlers);
        UnknownFamily::check(&rules, &families).map_err(|error| self.node.noted(error.into()))?;
        let turn = self.node.policies.turn().await;
        let mut policy = turn.policy();
        if let Some(home) = &self.node.home {
            // The file may have been edited since the start.
            let mut file = home.config(&families).map_err(InternalError::from)?;
            file.set_accept(&rules);
            home.save_config(&file).map_err(InternalError::from)?;
        }
        policy.accept = rules.over(&policy.accept);
        let accept = policy.accept.clone();
        turn.publish(policy);
        put_in_force(&self.node, &turn, |done| Call::Accept { policy: accept, done }).await
    }
}

async fn set_trusted(
    node: &Node,
    turn: &Turn<'_>,
    peer: PeerId,
    trusted: bool,
) -> Result<(), NetworkError> {
    let mut policy = turn.policy();
    if change(&mut policy.trusted, peer, trusted, PeerList::Trusted)?
        && let Some(home) = &node.home
    {
        // The configuration names its peers at the next start as well.
        let named = &node.config.trusted;
        let saved = policy.trusted.iter().filter(|peer| !named.contains(peer));
        home.save_peers(PeerList::Trusted, saved).map_err(InternalError::from)?;
    }
    turn.publish(policy);
    // Also if nothing has changed: an earlier caller may have given up before this point.
    put_in_force(node, turn, |done| Call::Trust { peer, trusted, done }).await
}

/// Puts a decision in force in the engine, then advertises it. A peer may act on the advert at once,
/// so the engine comes first.
async fn put_in_force(
    node: &Node,
    turn: &Turn<'_>,
    call: impl FnOnce(DoneSender) -> Call,
) -> Result<(), NetworkError> {
    let (done, in_force) = oneshot::channel();
    node.call(call(done)).await?;
    in_force.await.map_err(|_| InternalError::Stopped)?;
    Ok(node.net()?.set_offer(turn.policy().offer(&node.advert)).await?)
}

/// Adds a peer to a list or removes it. Returns true if that changes the list.
fn change(
    peers: &mut HashSet<PeerId>,
    peer: PeerId,
    on: bool,
    list: PeerList,
) -> Result<bool, NetworkError> {
    if !on {
        return Ok(peers.remove(&peer));
    }
    if peers.len() >= list.bound() && !peers.contains(&peer) {
        let detail = format!("the list is full: it has {} peers", list.bound());
        return Err(Reason::Denied { detail }.into());
    }
    Ok(peers.insert(peer))
}
