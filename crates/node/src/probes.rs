//! The task that measures the machine and checks the node's health, and reports changes to peers.
//!
//! Resources are measured every 2 s with ready peers, and every 30 s without. They are reported
//! when they change, at most once a second and at least every 30 s. Health is checked every 15 s,
//! on request, and when the measured resources change a finding.
//!
//! Absent on purpose: the measuring (`monitor`), the bounds of health (`health`).

use std::time::Duration;

use meshwork_core::{HealthEvent, HealthStatus, PeerId, PeerState, ResourceUsage};
use meshwork_net::NetHandle;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    driver::{call::Call, question::Question},
    event::NetworkEvent,
    health::{self, HANGS},
    limits,
    monitor::ResourceMonitor,
    publisher::Publisher,
    vitals::{Samples, Vitals},
};

#[cfg(test)]
mod tests;

/// A request of a handle to the probes.
#[derive(Debug)]
pub(crate) enum Probe {
    /// Starts to measure resources regularly.
    Monitor,
    /// Starts to check the node's health regularly.
    Watch,
    /// Handles an event of the health protocol, and replies with the status.
    Health { event: HealthEvent, reply: Option<oneshot::Sender<HealthStatus>> },
}

/// The task's parts.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) local: PeerId,
    pub(crate) monitor: ResourceMonitor,
    pub(crate) net: NetHandle,
    /// Weak, so that the node ends when its last handle is gone.
    pub(crate) calls: mpsc::WeakSender<Call>,
    pub(crate) publisher: Publisher,
    pub(crate) commands: mpsc::Receiver<Probe>,
    /// What health is assessed from.
    pub(crate) vitals: Vitals,
    /// Publishes samples to the vitals.
    pub(crate) samples: watch::Sender<Samples>,
}

/// Decides when to report resources.
#[derive(Debug, Default)]
struct Reporter {
    last: Option<(Instant, ResourceUsage)>,
    /// Whether the last measurement failed.
    is_blind: bool,
}

impl Reporter {
    /// Whether to report `usage` at `now`; if so, notes it as reported. A report that would be
    /// overdue at the next measurement is due now.
    fn is_due(&mut self, usage: &ResourceUsage, now: Instant) -> bool {
        let due = self.last.as_ref().is_none_or(|(at, reported)| {
            let since = now.duration_since(*at);
            since + limits::MEASURE >= limits::REPORT_AT_LEAST
                || (since >= limits::REPORT_AT_MOST && usage.is_news(reported))
        });
        if due {
            self.last = Some((now, *usage));
        }
        due
    }
}

/// The network or the node has stopped.
struct Stopped;

impl Probes {
    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let mut reporter = Reporter::default();
        let (mut measure_at, mut check_at) = (None, None);
        // The status reported last; none before the first check.
        let mut health = None;
        loop {
            let step = tokio::select! {
                biased;
                probe = self.commands.recv() => match probe {
                    None => return,
                    Some(Probe::Monitor) => {
                        measure_at.get_or_insert_with(Instant::now);
                        Ok(())
                    }
                    Some(Probe::Watch) => {
                        check_at.get_or_insert_with(Instant::now);
                        Ok(())
                    }
                    Some(Probe::Health { event, reply }) => {
                        self.do_health(event, reply, &mut health).await
                    }
                },
                () = due(measure_at) => {
                    let pause = if self.has_peers() { limits::MEASURE } else { limits::MEASURE_ALONE };
                    measure_at = Some(Instant::now() + pause);
                    self.measure(&mut reporter, &mut health, check_at.is_some()).await
                }
                () = due(check_at) => {
                    check_at = Some(Instant::now() + limits::HEALTH_EVERY);
                    self.check(&mut health).await.map(drop)
                }
            };
            if step.is_err() {
                return;
            }
        }
    }

    fn has_peers(&self) -> bool {
        self.net.peers().iter().any(|peer| peer.state == PeerState::Ready)
    }

    async fn do_health(
        &self,
        event: HealthEvent,
        reply: Option<oneshot::Sender<HealthStatus>>,
        health: &mut Option<HealthStatus>,
    ) -> Result<(), Stopped> {
        let status = match event {
            HealthEvent::CheckHealth => self.check(health).await?,
            HealthEvent::ReportHealth(status) => {
                // A program's own status: any difference is reported.
                if health.as_ref() != Some(&status) {
                    self.report(status.clone(), health).await?;
                }
                status
            }
        };
        if let Some(reply) = reply {
            // The caller may have dropped its receiver.
            reply.send(status).ok();
        }
        Ok(())
    }

    /// Measures the machine, and reports the result to the driver and to peers if it is due.
    async fn measure(
        &self,
        reporter: &mut Reporter,
        health: &mut Option<HealthStatus>,
        watched: bool,
    ) -> Result<(), Stopped> {
        let usage = match self.monitor.current_usage().await {
            Ok(usage) => usage,
            Err(error) => {
                self.note_usage(Err(error.to_string()));
                if !std::mem::replace(&mut reporter.is_blind, true) {
                    tracing::warn!(%error, "cannot measure this machine");
                    if watched {
                        self.check(health).await?;
                    }
                }
                return Ok(());
            }
        };
        let was_blind = std::mem::take(&mut reporter.is_blind);
        self.note_usage(Ok(usage));
        if reporter.is_due(&usage, Instant::now()) {
            let Some(calls) = self.calls.upgrade() else { return Err(Stopped) };
            patiently(calls.send(Call::Measured { usage })).await?;
            patiently(self.net.update_resources(usage)).await?;
        }
        let is_known =
            |reported: &HealthStatus| health::is_known(reported, &usage, self.vitals.has_home());
        if watched && (was_blind || !health.as_ref().is_some_and(is_known)) {
            self.check(health).await?;
        }
        Ok(())
    }

    fn note_usage(&self, usage: Result<ResourceUsage, String>) {
        self.samples.send_modify(|samples| {
            (samples.usage, samples.unreadable) = match usage {
                Ok(usage) => (Some(usage), None),
                Err(why) => (None, Some(why)),
            };
        });
    }

    /// Runs all checks, and reports the status if it has changed.
    async fn check(&self, health: &mut Option<HealthStatus>) -> Result<HealthStatus, Stopped> {
        let (loop_lag, driver_lag, usage) = tokio::join!(
            lag(self.net.lag()),
            lag(self.driver_lag()),
            self.monitor.current_usage(),
        );
        self.samples.send_replace(Samples {
            checked: Instant::now(),
            loop_lag: Some(loop_lag?),
            driver_lag: Some(driver_lag?),
            unreadable: usage.as_ref().err().map(ToString::to_string),
            usage: usage.ok(),
        });
        let status = self.vitals.assess();
        if !health.as_ref().is_some_and(|reported| is_same(&status, reported)) {
            self.report(status.clone(), health).await?;
        }
        Ok(status)
    }

    /// Time that the driver takes to answer a call.
    async fn driver_lag(&self) -> Result<Duration, Stopped> {
        let sent_at = Instant::now();
        let (reply, answer) = oneshot::channel();
        let calls = self.calls.upgrade().ok_or(Stopped)?;
        calls.send(Call::Ask(Question::Echo(reply))).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)?;
        Ok(sent_at.elapsed())
    }

    async fn report(
        &self,
        status: HealthStatus,
        health: &mut Option<HealthStatus>,
    ) -> Result<(), Stopped> {
        *health = Some(status.clone());
        self.publisher
            .publish(|| NetworkEvent::HealthChanged { peer: self.local, status: status.clone() });
        patiently(self.net.report_health(status)).await
    }
}

/// Whether two statuses have the same findings. Their figures change all the time and do not count.
fn is_same(one: &HealthStatus, other: &HealthStatus) -> bool {
    let checks = |status: &HealthStatus| -> Vec<_> {
        status.reasons().iter().map(|reason| reason.check).collect()
    };
    one.as_str() == other.as_str() && checks(one) == checks(other)
}

/// The lag that `answer` measures; [`HANGS`] if it takes longer.
async fn lag<E>(answer: impl Future<Output = Result<Duration, E>>) -> Result<Duration, Stopped> {
    match timeout(HANGS, answer).await {
        Ok(lag) => lag.map_err(|_| Stopped),
        Err(_) => Ok(HANGS),
    }
}

/// Sends to a loop, but gives up after [`HANGS`]: a loop that hangs is found by its lag, and must
/// not keep the probes from reporting it.
async fn patiently<E>(sending: impl Future<Output = Result<(), E>>) -> Result<(), Stopped> {
    match timeout(HANGS, sending).await {
        Ok(sent) => sent.map_err(|_| Stopped),
        Err(_) => Ok(()),
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
