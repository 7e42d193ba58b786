//! Resource reports of nodes.
//!
//! A node may report only about itself. Nothing of a refused report is kept.

use chrono::TimeDelta;
use libp2p::PeerId;
use meshwork_core::{Reason, ResourceUsage};

use super::wire::ResourceReport;
use crate::{clock, event_loop::shared::Shared, limits, protocol::links::link, quota::RequestKind};

/// This node's own report.
pub(crate) fn own(usage: ResourceUsage) -> Box<ResourceReport> {
    let age = (clock::time_of_day() - usage.measured_at).to_std().unwrap_or_default();
    Box::new(ResourceReport { usage, age, subject: None })
}

/// Stores a peer's resource report in the table of peers.
///
/// # Errors
///
/// The report is over the peer's quota, about another node, or has impossible figures.
pub(crate) fn on_report(
    peer: &PeerId,
    report: ResourceReport,
    shared: &mut Shared,
) -> Result<ResourceUsage, Reason> {
    shared.peers.may_ask(peer, RequestKind::Report, &shared.local.counters)?;
    if !report.is_about(peer) {
        return Err(link::not_its_own());
    }
    let mut usage = report
        .usage
        .checked()
        .map_err(|error| Reason::InvalidMessage { detail: error.to_string() })?;
    let age = TimeDelta::from_std(report.age.min(limits::REPORT_AGE)).unwrap_or_default();
    usage.measured_at = clock::time_of_day() - age;
    if let Some(known) = shared.peers.get_mut(peer) {
        known.claims.resources = Some(usage);
        shared.peers.note_change();
    }
    Ok(usage)
}
