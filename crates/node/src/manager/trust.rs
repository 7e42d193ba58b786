//! What the user decides about other nodes at run time: kept in the home, told to the engine before
//! the peers.

use std::collections::HashSet;

use meshwork_core::{AcceptPolicy, PeerId, Reason, advert::clean, limits as core_limits};

use super::NetworkManager;
use crate::{
    builder::{families, offer},
    config::UnknownFamily,
    driver::Call,
    error::{InternalError, NetworkError},
    home::PeerList,
    limits,
    policy::Turn,
};

impl NetworkManager {
    /// Trusts a peer from now on, or no longer: it counts as listed, and own tasks may be placed
    /// there. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The home cannot be written, more than 1,024 peers are trusted, or the node is not running.
    pub async fn trust(&self, peer: PeerId, trust: bool) -> Result<(), NetworkError> {
        self.net()?;
        let turn = self.inner.policies.turn().await;
        if trust && turn.policy().blocked.contains(&peer) {
            let detail = format!("{peer} is blocked; unblock it first");
            return Err(Reason::Denied { detail }.into());
        }
        self.set_trusted(&turn, peer, trust).await
    }

    async fn set_trusted(
        &self,
        turn: &Turn<'_>,
        peer: PeerId,
        trust: bool,
    ) -> Result<(), NetworkError> {
        let mut policy = turn.policy();
        if change(&mut policy.trusted, peer, trust, PeerList::Trusted)?
            && let Some(home) = &self.inner.home
        {
            // Those that the configuration names are named by it at the next start as well.
            let named = &self.inner.config.trusted;
            let kept = policy.trusted.iter().filter(|peer| !named.contains(peer));
            home.save_peers(PeerList::Trusted, kept).map_err(InternalError::from)?;
        }
        turn.publish(policy);
        // Also when nothing has changed: an earlier caller may have given up before this point.
        self.put_in_force(Call::Trust { peer, trusted: trust }, turn).await
    }

    /// Denies connections with a peer from now on, or no longer; one that is blocked is not trusted
    /// any more. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The home cannot be written, 1,024 peers are blocked already, the peer is this node, or the node
    /// is not running.
    pub async fn block(&self, peer: PeerId, on: bool) -> Result<(), NetworkError> {
        let net = self.net()?;
        if peer == self.inner.local_peer {
            return Err(Reason::Denied { detail: "a node cannot block itself".to_owned() }.into());
        }
        let turn = self.inner.policies.turn().await;
        let mut policy = turn.policy();
        if change(&mut policy.blocked, peer, on, PeerList::Blocked)?
            && let Some(home) = &self.inner.home
        {
            let blocked = policy.blocked.iter();
            home.save_peers(PeerList::Blocked, blocked).map_err(InternalError::from)?;
        }
        turn.publish(policy);
        if on {
            self.set_trusted(&turn, peer, false).await?;
        }
        Ok(net.block(peer, on).await?)
    }

    /// Gives a peer a name of this node's own, which goes before the names that peers give
    /// themselves; an empty one takes it back. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The name has more than 64 bytes or control characters, another peer was given it, 1,024 peers
    /// have names already, the home cannot be written, or the node is not running.
    pub async fn name_peer(&self, peer: PeerId, name: &str) -> Result<(), NetworkError> {
        self.net()?;
        let name = name.trim();
        let denied = |detail: String| Err(NetworkError::from(Reason::Denied { detail }));
        if clean(name) != name {
            let most = core_limits::LABEL_BYTES;
            return denied(format!("a name has at most {most} bytes, and no control characters"));
        }
        let turn = self.inner.policies.turn().await;
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
        if let Some(home) = &self.inner.home {
            home.save_names(next).map_err(InternalError::from)?;
        }
        turn.publish(policy);
        Ok(())
    }

    /// Forgets a peer: its name, the trust in it, where it was met, and its connection. Unless it is
    /// blocked it may come back, as a stranger.
    ///
    /// # Errors
    ///
    /// The home cannot be written, or the node is not running.
    pub async fn forget_peer(&self, peer: PeerId) -> Result<(), NetworkError> {
        let net = self.net()?;
        self.name_peer(peer, "").await?;
        self.trust(peer, false).await?;
        if let Some(book) = self.inner.book_closed.get() {
            // The task has ended: there is no book to take it from.
            book.send(peer).await.ok();
        }
        Ok(net.forget(peer).await?)
    }

    /// Closes the connection with a peer. Either side may connect again, unless it is blocked.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), NetworkError> {
        Ok(self.net()?.disconnect(peer).await?)
    }

    /// Accepts tasks by these rules from now on; families without one in `rules` stay as they are.
    /// Attempts that are here already go on. Kept in `config.toml` in the home, if there is one;
    /// [`NetworkConfig::accept`](crate::NetworkConfig::accept) of the next start goes before it.
    ///
    /// # Errors
    ///
    /// A rule names a family that the node does not have (`unknown_family`), `config.toml` cannot be
    /// read (`bad_config`) or written, or the node is not running. Nothing has changed then.
    pub async fn accept(&self, rules: AcceptPolicy) -> Result<(), NetworkError> {
        self.net()?;
        let families = families(&self.inner.handlers);
        UnknownFamily::check(&rules, &families).map_err(|error| self.noted(error.into()))?;
        let turn = self.inner.policies.turn().await;
        let mut policy = turn.policy();
        if let Some(home) = &self.inner.home {
            // Read anew: somebody may have edited it since the start.
            let mut file = home.config(&families).map_err(InternalError::from)?;
            file.set_accept(&rules);
            home.save_config(&file).map_err(InternalError::from)?;
        }
        policy.accept = rules.over(&policy.accept);
        let call = Call::Accept { policy: policy.accept.clone() };
        turn.publish(policy);
        self.put_in_force(call, &turn).await
    }

    /// Tells the engine by `call`, then the peers.
    async fn put_in_force(&self, call: Call, turn: &Turn<'_>) -> Result<(), NetworkError> {
        self.call(call).await?;
        // A peer may act on the offer at once, so the engine must know before it is told.
        self.ask(|_, _| ()).await?;
        Ok(self.net()?.set_offer(offer(&self.inner.advert, &turn.policy())).await?)
    }
}

/// Puts `peer` into the list or takes it out; whether that changes it.
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
