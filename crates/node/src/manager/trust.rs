//! Whom the node trusts: said at run time, kept in the home, told to the engine before the peer.

use meshwork_core::{PeerId, Reason};

use super::NetworkManager;
use crate::{
    driver::Call,
    error::{InternalError, NetworkError},
    limits,
};

impl NetworkManager {
    /// Trusts a peer from now on, or no longer: it counts as listed, and own tasks may be placed
    /// there. Kept in the home, if there is one.
    ///
    /// # Errors
    ///
    /// The home cannot be written, more than 1,024 peers are trusted, or the node is not running.
    pub async fn trust(&self, peer: PeerId, trust: bool) -> Result<(), NetworkError> {
        let net = self.net()?;
        let mut trusted = self.inner.trusted.lock().await;
        if trust && trusted.len() >= limits::TRUSTED && !trusted.contains(&peer) {
            let detail = format!("{} peers are trusted already", limits::TRUSTED);
            return Err(Reason::Denied { detail }.into());
        }
        let mut next = trusted.clone();
        let changed = if trust { next.insert(peer) } else { next.remove(&peer) };
        if let Some(home) = self.inner.home.as_ref().filter(|_| changed) {
            // Those that the configuration names are named by it at the next start as well.
            let kept = next.iter().filter(|peer| !self.inner.config.trusted.contains(peer));
            home.save_trusted(kept).map_err(InternalError::from)?;
        }
        trusted.clone_from(&next);
        let offer = crate::builder::offer(&self.inner.config, &self.inner.handlers, next);
        // Also when nothing has changed: an earlier caller may have given up before this point.
        self.call(Call::Trust { peer, trusted: trust }).await?;
        // The peer may act on the offer at once, so the engine must know before it is told.
        self.ask(|_, _| ()).await?;
        Ok(net.set_offer(offer).await?)
    }
}
