//! Frames of the resource protocol.

use std::time::Duration;

use meshwork_core::{PeerId, Reason, ResourceUsage};
use prost::Message as _;

use crate::wire::{
    error::WireError,
    fields::unknown_kind,
    generated::{self as proto, resource_frame::Kind},
};

#[cfg(test)]
mod tests;

/// One frame of the resource protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourceFrame {
    /// The number of a question, repeated in its answer; 0 in a report without a question.
    pub(crate) id: u64,
    pub(crate) body: ResourceBody,
}

/// The content of a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ResourceBody {
    Report(Box<ResourceReport>),
    Question,
    Refused(Reason),
    /// The sender does not know the kind with this number.
    Unsupported(u32),
    /// This node does not know the received kind with this number.
    Unknown(u32),
}

/// A machine's capacity and load. The figures of a received report are not checked yet, and its
/// `measured_at` is not set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourceReport {
    pub(crate) usage: ResourceUsage,
    /// The time since the measurement.
    pub(crate) age: Duration,
    /// The bytes of the peer id that the report is about; `None`: the sender.
    pub(crate) subject: Option<Vec<u8>>,
}

impl ResourceReport {
    /// Whether the report is about its sender.
    pub(crate) fn is_about(&self, sender: &PeerId) -> bool {
        self.subject.as_ref().is_none_or(|subject| *subject == sender.to_bytes())
    }
}

impl ResourceFrame {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match &self.body {
            ResourceBody::Report(report) => Kind::Report(report_message(report)),
            ResourceBody::Question => Kind::Question(proto::ResourceQuestion {}),
            ResourceBody::Refused(reason) => Kind::Refused(reason.into()),
            ResourceBody::Unsupported(kind) | ResourceBody::Unknown(kind) => {
                Kind::Unsupported(proto::Unsupported { kind: *kind })
            }
        };
        proto::ResourceFrame { id: self.id, kind: Some(kind) }.encode_to_vec()
    }

    /// Decodes a frame.
    ///
    /// # Errors
    ///
    /// The bytes are not a valid frame.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let frame = proto::ResourceFrame::decode(message)?;
        let body = match frame.kind {
            Some(Kind::Report(report)) => ResourceBody::Report(Box::new(report.into())),
            Some(Kind::Question(_)) => ResourceBody::Question,
            Some(Kind::Refused(reason)) => ResourceBody::Refused(reason.into()),
            Some(Kind::Unsupported(unsupported)) => ResourceBody::Unsupported(unsupported.kind),
            None => ResourceBody::Unknown(unknown_kind(message)?),
        };
        Ok(Self { id: frame.id, body })
    }
}

fn report_message(report: &ResourceReport) -> proto::ResourceReport {
    let usage = &report.usage;
    proto::ResourceReport {
        age_ms: u64::try_from(report.age.as_millis()).unwrap_or(u64::MAX),
        cpus: usage.cpus,
        cpu_used_milli: milli(usage.cpu_used) as u32,
        memory_bytes: usage.memory_bytes,
        memory_free_bytes: usage.memory_free_bytes,
        disk_bytes: usage.disk_bytes,
        disk_free_bytes: usage.disk_free_bytes,
        load_milli: milli(usage.load),
        gpus: usage.gpus,
        slots: usage.slots,
        slots_free: usage.slots_free,
        up: usage.up_bytes_per_s,
        down: usage.down_bytes_per_s,
        subject: report.subject.clone().unwrap_or_default().into(),
    }
}

impl From<proto::ResourceReport> for ResourceReport {
    fn from(message: proto::ResourceReport) -> Self {
        let usage = ResourceUsage {
            cpus: message.cpus,
            cpu_used: message.cpu_used_milli as f32 / 1_000.0,
            memory_bytes: message.memory_bytes,
            memory_free_bytes: message.memory_free_bytes,
            disk_bytes: message.disk_bytes,
            disk_free_bytes: message.disk_free_bytes,
            load: message.load_milli as f32 / 1_000.0,
            gpus: message.gpus,
            slots: message.slots,
            slots_free: message.slots_free,
            up_bytes_per_s: message.up,
            down_bytes_per_s: message.down,
            ..ResourceUsage::default()
        };
        let subject = (!message.subject.is_empty()).then(|| message.subject.to_vec());
        Self { usage, age: Duration::from_millis(message.age_ms), subject }
    }
}

/// The value in thousandths; 0 for negative values and NaN.
fn milli(value: f32) -> u64 {
    (f64::from(value) * 1_000.0).round() as u64
}
