//! The metrics recorder of the process, which renders text for Prometheus.
//!
//! Absent on purpose: the metrics. The node records them through the crate `metrics` and does not
//! know the recorder.

use std::convert::Infallible;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::MissedTickBehavior;

use crate::{
    limits,
    version::{COMMIT, VERSION},
};

#[cfg(test)]
mod tests;

/// The recorder of this process.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder for this process.
    ///
    /// # Errors
    ///
    /// The process already has a recorder.
    pub(super) fn install() -> Result<Self, BuildError> {
        let handle = builder()?.install_recorder()?;
        metrics::describe_gauge!(BUILD_INFO, "Always 1; its labels are version and commit.");
        metrics::gauge!(BUILD_INFO, "version" => VERSION, "commit" => COMMIT).set(1.0);
        Ok(Self { handle })
    }

    /// A function that renders the current values.
    pub(super) fn render(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let handle = self.handle.clone();
        move || handle.render()
    }

    /// Moves recorded samples into their buckets, every [`limits::METRICS_UPKEEP`].
    pub(super) async fn keep_up(&self) -> Infallible {
        let mut ticks = tokio::time::interval(limits::METRICS_UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }
}

const BUILD_INFO: &str = "meshwork.build.info";

/// A recorder with the buckets of each histogram. Other histograms become summaries.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    [
        ("network.message.size", SIZES),
        ("network.latency", LATENCIES),
        ("network.bandwidth", BANDWIDTHS),
    ]
    .into_iter()
    .try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
    })
}

/// Bytes: powers of 4 from an empty frame to the largest message, 1 MiB and its header.
const SIZES: &[f64] =
    &[64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// Seconds: from a round trip on loopback to one that timed out, two or three buckets a decade.
const LATENCIES: &[f64] = &[
    50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3,
    1.0, 2.5, 5.0, 10.0,
];

/// Bytes per second: powers of 10 from an idle pair of peers to more than a fast wire carries.
const BANDWIDTHS: &[f64] = &[10.0, 100.0, 1e3, 10e3, 100e3, 1e6, 10e6, 100e6, 1e9];
