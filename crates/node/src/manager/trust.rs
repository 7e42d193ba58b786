//! What the user decides about other nodes at run time: kept in the home, told to the engine before
//! the peers.

use meshwork_core::{AcceptPolicy, PeerId, Reason};

use super::NetworkManager;
use crate::{
    builder::{families, offer},
    config::UnknownFamily,
    driver::Call,
    error::{InternalError, NetworkError},
    limits,
    policy::Policy,
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
        let mut policy = self.inner.policy.lock().await;
        if trust && policy.trusted.len() >= limits::TRUSTED && !policy.trusted.contains(&peer) {
            let detail = format!("{} peers are trusted already", limits::TRUSTED);
            return Err(Reason::Denied { detail }.into());
        }
        let mut next = policy.trusted.clone();
        let changed = if trust { next.insert(peer) } else { next.remove(&peer) };
        if let Some(home) = self.inner.home.as_ref().filter(|_| changed) {
            // Those that the configuration names are named by it at the next start as well.
            let kept = next.iter().filter(|peer| !self.inner.config.trusted.contains(peer));
            home.save_trusted(kept).map_err(InternalError::from)?;
        }
        policy.trusted = next;
        // Also when nothing has changed: an earlier caller may have given up before this point.
        self.put_in_force(Call::Trust { peer, trusted: trust }, &policy).await
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
        let mut policy = self.inner.policy.lock().await;
        if let Some(home) = &self.inner.home {
            // Read anew: somebody may have edited it since the start.
            let mut file = home.config(&families).map_err(InternalError::from)?;
            file.set_accept(&rules);
            home.save_config(&file).map_err(InternalError::from)?;
        }
        policy.accept = rules.over(&policy.accept);
        self.put_in_force(Call::Accept { policy: policy.accept.clone() }, &policy).await
    }

    /// Tells the engine by `call`, then the peers.
    async fn put_in_force(&self, call: Call, policy: &Policy) -> Result<(), NetworkError> {
        self.call(call).await?;
        // A peer may act on the offer at once, so the engine must know before it is told.
        self.ask(|_, _| ()).await?;
        let offer = offer(&self.inner.config, &self.inner.handlers, policy);
        Ok(self.net()?.set_offer(offer).await?)
    }
}
