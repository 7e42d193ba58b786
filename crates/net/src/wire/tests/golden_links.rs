//! The vectors of the resource and the health protocol; see [`super::golden`].

use std::time::Duration;

use meshwork_core::{HealthCheck, HealthReason, HealthStatus, Reason, ResourceUsage};

use super::golden::assert_golden;
use crate::protocol::{
    health::wire::{HealthBody, HealthFrame, HealthReport},
    resource::wire::{ResourceBody, ResourceFrame, ResourceReport},
};

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    prost::encoding::encode_varint(message.len() as u64, &mut framed);
    framed.extend_from_slice(message);
    framed
}

fn resource_frames() -> Vec<(&'static str, ResourceFrame)> {
    let usage = ResourceUsage {
        cpus: 8,
        cpu_used: 0.375,
        memory_bytes: 16 << 30,
        memory_free_bytes: 7 << 30,
        disk_bytes: 1 << 40,
        disk_free_bytes: 1 << 38,
        load: 2.5,
        gpus: 1,
        slots: 8,
        slots_free: 3,
        up_bytes_per_s: 1_000,
        down_bytes_per_s: 2_000,
        ..ResourceUsage::default()
    };
    let report = ResourceReport { usage, age: Duration::from_millis(1_500), subject: None };
    let busy = Reason::Busy { retry_after: Duration::from_millis(250) };
    let frame = |id, body| ResourceFrame { id, body };
    vec![
        ("resource-report", frame(0, ResourceBody::Report(Box::new(report)))),
        ("resource-question", frame(7, ResourceBody::Question)),
        ("resource-refused", frame(7, ResourceBody::Refused(busy))),
        ("resource-unsupported", frame(0, ResourceBody::Unsupported(40))),
    ]
}

fn health_frames() -> Vec<(&'static str, HealthFrame)> {
    let reason = HealthReason::new(HealthCheck::Disk, "12 of 4096 MiB are free at the home");
    let report = HealthReport { status: HealthStatus::Unhealthy(vec![reason]), subject: None };
    let well = HealthReport { status: HealthStatus::Healthy, subject: None };
    let frame = |id, body| HealthFrame { id, body };
    vec![
        ("echo", frame(300, HealthBody::Echo)),
        ("echoed", frame(300, HealthBody::Echoed)),
        ("health-report", frame(0, HealthBody::Report(Box::new(report)))),
        ("health-report-well", frame(0, HealthBody::Report(Box::new(well)))),
        ("health-unsupported", frame(0, HealthBody::Unsupported(40))),
    ]
}

#[test]
fn resource_frames_match_their_vectors() {
    for (name, frame) in resource_frames() {
        let message = frame.encode();
        assert_golden(name, &framed(&message));
        assert_eq!(ResourceFrame::decode(&message).unwrap(), frame, "{name}");
    }
}

#[test]
fn health_frames_match_their_vectors() {
    for (name, frame) in health_frames() {
        let message = frame.encode();
        assert_golden(name, &framed(&message));
        assert_eq!(HealthFrame::decode(&message).unwrap(), frame, "{name}");
    }
}
