//! Health reports of nodes.
//!
//! A node may report only about itself; a report about another node is refused.

use libp2p::PeerId;
use meshwork_core::{HealthStatus, Reason};

use super::wire::HealthReport;
use crate::{event_loop::shared::Shared, protocol::links::link, quota::RequestKind};

/// This node's own report.
pub(crate) fn own(status: HealthStatus) -> Box<HealthReport> {
    Box::new(HealthReport { status, subject: None })
}

/// Stores a peer's health report in the table of peers.
///
/// # Errors
///
/// The report is over the peer's quota, or about another node.
pub(crate) fn on_report(
    peer: &PeerId,
    report: HealthReport,
    shared: &mut Shared,
) -> Result<HealthStatus, Reason> {
    shared.peers.may_ask(peer, RequestKind::Report, &shared.local.counters)?;
    if !report.is_about(peer) {
        return Err(link::not_its_own());
    }
    if let Some(known) = shared.peers.get_mut(peer) {
        known.claims.health = Some(report.status.clone());
        shared.peers.note_change();
    }
    Ok(report.status)
}
