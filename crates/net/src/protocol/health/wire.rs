//! Frames of the health protocol.

use meshwork_core::{
    HealthCheck, HealthReason, HealthStatus, PeerId, Reason, limits as core_limits,
};
use prost::Message as _;

use crate::wire::{
    error::WireError,
    fields::unknown_kind,
    generated::{self as proto, health_frame::Kind},
};

#[cfg(test)]
mod tests;

/// One frame of the health protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthFrame {
    /// The number of an echo, repeated in its answer; 0 in a report.
    pub(crate) id: u64,
    pub(crate) body: HealthBody,
}

/// The content of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HealthBody {
    Echo,
    Echoed,
    Report(Box<HealthReport>),
    Refused(Reason),
    /// The sender does not know the kind with this number.
    Unsupported(u32),
    /// This node does not know the received kind with this number.
    Unknown(u32),
}

/// The health of a node. A received report is clamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthReport {
    pub(crate) status: HealthStatus,
    /// The bytes of the peer id that the report is about; `None`: the sender.
    pub(crate) subject: Option<Vec<u8>>,
}

impl HealthReport {
    /// Whether the report is about its sender.
    pub(crate) fn is_about(&self, sender: &PeerId) -> bool {
        self.subject.as_ref().is_none_or(|subject| *subject == sender.to_bytes())
    }
}

impl HealthFrame {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match &self.body {
            HealthBody::Echo => Kind::Echo(proto::Echo {}),
            HealthBody::Echoed => Kind::Echoed(proto::Echo {}),
            HealthBody::Report(report) => Kind::Report(report_message(report)),
            HealthBody::Refused(reason) => Kind::Refused(reason.into()),
            HealthBody::Unsupported(kind) | HealthBody::Unknown(kind) => {
                Kind::Unsupported(proto::Unsupported { kind: *kind })
            }
        };
        proto::HealthFrame { id: self.id, kind: Some(kind) }.encode_to_vec()
    }

    /// Decodes a frame.
    ///
    /// # Errors
    ///
    /// The bytes are not a valid frame.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let frame = proto::HealthFrame::decode(message)?;
        let body = match frame.kind {
            Some(Kind::Echo(_)) => HealthBody::Echo,
            Some(Kind::Echoed(_)) => HealthBody::Echoed,
            Some(Kind::Report(report)) => HealthBody::Report(Box::new(report.into())),
            Some(Kind::Refused(reason)) => HealthBody::Refused(reason.into()),
            Some(Kind::Unsupported(unsupported)) => HealthBody::Unsupported(unsupported.kind),
            None => HealthBody::Unknown(unknown_kind(message)?),
        };
        Ok(Self { id: frame.id, body })
    }
}

fn report_message(report: &HealthReport) -> proto::HealthReport {
    let level = match &report.status {
        HealthStatus::Healthy => proto::HealthLevel::Healthy,
        HealthStatus::Degraded(_) => proto::HealthLevel::Degraded,
        HealthStatus::Unhealthy(_) => proto::HealthLevel::Unhealthy,
    };
    let reasons = report.status.reasons().iter().take(core_limits::HEALTH_REASONS);
    proto::HealthReport {
        level: level.into(),
        reasons: reasons
            .map(|reason| proto::HealthReason {
                check: check_number(reason.check).into(),
                detail: reason.detail.clone(),
            })
            .collect(),
        subject: report.subject.clone().unwrap_or_default().into(),
    }
}

impl From<proto::HealthReport> for HealthReport {
    fn from(message: proto::HealthReport) -> Self {
        let reasons: Vec<HealthReason> = message
            .reasons
            .into_iter()
            .take(core_limits::HEALTH_REASONS)
            .map(|reason| HealthReason::new(check(reason.check), reason.detail))
            .collect();
        let status = match proto::HealthLevel::try_from(message.level) {
            Ok(proto::HealthLevel::Healthy) => HealthStatus::Healthy,
            Ok(proto::HealthLevel::Unhealthy) => HealthStatus::Unhealthy(reasons),
            Ok(proto::HealthLevel::Degraded | proto::HealthLevel::Unspecified) | Err(_) => {
                HealthStatus::Degraded(reasons)
            }
        };
        let subject = (!message.subject.is_empty()).then(|| message.subject.to_vec());
        Self { status: status.clamped(), subject }
    }
}

fn check_number(check: HealthCheck) -> proto::HealthCheck {
    match check {
        HealthCheck::EventLoop => proto::HealthCheck::EventLoop,
        HealthCheck::Driver => proto::HealthCheck::Driver,
        HealthCheck::Handlers => proto::HealthCheck::Handlers,
        HealthCheck::Disk => proto::HealthCheck::Disk,
        HealthCheck::Memory => proto::HealthCheck::Memory,
        HealthCheck::Listeners => proto::HealthCheck::Listeners,
        HealthCheck::Inbound => proto::HealthCheck::Inbound,
        HealthCheck::Other | _ => proto::HealthCheck::Unspecified,
    }
}

fn check(number: i32) -> HealthCheck {
    match proto::HealthCheck::try_from(number) {
        Ok(proto::HealthCheck::EventLoop) => HealthCheck::EventLoop,
        Ok(proto::HealthCheck::Driver) => HealthCheck::Driver,
        Ok(proto::HealthCheck::Handlers) => HealthCheck::Handlers,
        Ok(proto::HealthCheck::Disk) => HealthCheck::Disk,
        Ok(proto::HealthCheck::Memory) => HealthCheck::Memory,
        Ok(proto::HealthCheck::Listeners) => HealthCheck::Listeners,
        Ok(proto::HealthCheck::Inbound) => HealthCheck::Inbound,
        Ok(proto::HealthCheck::Unspecified) | Err(_) => HealthCheck::Other,
    }
}
