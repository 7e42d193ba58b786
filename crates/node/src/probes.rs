//! The task that looks at the machine and at the node, and says when that is worth telling.
//!
//! Resources are measured each two seconds while peers are there, and each thirty otherwise; they
//! are told when they have changed, at most once in a second and at least each thirty. Health is
//! looked at each minute, when asked, and when the machine's figures say that it has changed.
//!
//! Absent on purpose: the figures themselves (`monitor`), what they mean (`health`).

use std::{sync::Arc, time::Duration};

use meshwork_core::{HealthEvent, HealthStatus, PeerId, PeerState, ResourceUsage};
use meshwork_net::NetHandle;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    driver::{call::Call, question::Question},
    event::NetworkEvent,
    health::{self, HANGS, Measured},
    journal::Archive,
    limits,
    monitor::ResourceMonitor,
    publisher::Publisher,
    snapshot::Seen,
};

#[cfg(test)]
mod tests;

/// What a handle asks of the probes.
#[derive(Debug)]
pub(crate) enum Probe {
    /// Measure resources from now on.
    Monitor,
    /// Look at the node's health from now on.
    Watch,
    /// Something of the health protocol; a check is answered.
    Health { event: HealthEvent, reply: Option<oneshot::Sender<HealthStatus>> },
}

/// What the probes are made of.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) local: PeerId,
    pub(crate) monitor: ResourceMonitor,
    pub(crate) net: NetHandle,
    /// Weak, so that the node ends when its last handle is gone.
    pub(crate) calls: mpsc::WeakSender<Call>,
    pub(crate) publisher: Publisher,
    pub(crate) commands: mpsc::Receiver<Probe>,
    /// What the driver holds.
    pub(crate) driver: Seen,
    /// Addresses that the node was told to listen on.
    pub(crate) listeners: usize,
    /// None without a home.
    pub(crate) archive: Option<Arc<Archive>>,
}

/// When the machine's figures are told.
#[derive(Debug, Default)]
struct Reporter {
    last: Option<(Instant, ResourceUsage)>,
    /// Whether the machine could not be measured the last time.
    is_blind: bool,
}

impl Reporter {
    /// Whether `usage` is to be told at `now`; then it counts as told. What would be overdue at the
    /// next measurement is due now.
    fn is_due(&mut self, usage: &ResourceUsage, now: Instant) -> bool {
        let due = self.last.as_ref().is_none_or(|(at, told)| {
            let since = now.duration_since(*at);
            since + limits::MEASURE >= limits::REPORT_AT_LEAST
                || (since >= limits::REPORT_AT_MOST && usage.is_news(told))
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
        // What peers were told last; nothing before the first look.
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
                // A program's own words: each of them counts.
                if health.as_ref() != Some(&status) {
                    self.tell(status.clone(), health).await?;
                }
                status
            }
        };
        if let Some(reply) = reply {
            // Whoever asked may have stopped waiting.
            reply.send(status).ok();
        }
        Ok(())
    }

    /// Measures the machine, for placement here and for peers.
    async fn measure(
        &self,
        reporter: &mut Reporter,
        health: &mut Option<HealthStatus>,
        watched: bool,
    ) -> Result<(), Stopped> {
        let usage = match self.monitor.current_usage().await {
            Ok(usage) => usage,
            Err(error) => {
                if !std::mem::replace(&mut reporter.is_blind, true) {
                    tracing::warn!(%error, "cannot measure this machine");
                }
                return Ok(());
            }
        };
        reporter.is_blind = false;
        if reporter.is_due(&usage, Instant::now()) {
            let Some(calls) = self.calls.upgrade() else { return Err(Stopped) };
            patiently(calls.send(Call::Measured { usage })).await?;
            patiently(self.net.update_resources(usage)).await?;
        }
        let is_known = |told: &HealthStatus| health::is_known(told, &usage, self.archive.is_some());
        if watched && !health.as_ref().is_some_and(is_known) {
            self.check(health).await?;
        }
        Ok(())
    }

    /// Looks at everything, and tells if the node is not as it was.
    async fn check(&self, health: &mut Option<HealthStatus>) -> Result<HealthStatus, Stopped> {
        let (loop_lag, driver_lag, usage) = tokio::join!(
            lag(self.net.lag()),
            lag(self.driver_lag()),
            self.monitor.current_usage(),
        );
        let measured = Measured {
            loop_lag: Some(loop_lag?),
            driver_lag: Some(driver_lag?),
            handlers: Some(self.driver.now().handlers),
            listeners: Some((self.listeners, self.net.addresses().len())),
            crowd: self.net.crowd(),
            unreadable: usage.as_ref().err().map(ToString::to_string),
            usage: usage.ok(),
            unarchived: self.archive.as_ref().and_then(|archive| archive.failing()),
            has_home: self.archive.is_some(),
        };
        let status = health::assess(&measured);
        if !health.as_ref().is_some_and(|told| is_same(&status, told)) {
            self.tell(status.clone(), health).await?;
        }
        Ok(status)
    }

    /// How long the driver takes to have a turn for a call.
    async fn driver_lag(&self) -> Result<Duration, Stopped> {
        let asked = Instant::now();
        let (reply, answer) = oneshot::channel();
        let calls = self.calls.upgrade().ok_or(Stopped)?;
        calls.send(Call::Ask(Question::Echo(reply))).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)?;
        Ok(asked.elapsed())
    }

    async fn tell(
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

/// Whether the same was found. Figures move all the time; what is found is what counts.
fn is_same(one: &HealthStatus, other: &HealthStatus) -> bool {
    let checks = |status: &HealthStatus| -> Vec<_> {
        status.reasons().iter().map(|reason| reason.check).collect()
    };
    one.as_str() == other.as_str() && checks(one) == checks(other)
}

/// What `answer` says, or that it takes too long.
async fn lag<E>(answer: impl Future<Output = Result<Duration, E>>) -> Result<Duration, Stopped> {
    match timeout(HANGS, answer).await {
        Ok(lag) => lag.map_err(|_| Stopped),
        Err(_) => Ok(HANGS),
    }
}

/// Tells a loop something, unless it hangs: that is found by its lag, and whoever asks how the node
/// is must hear of it.
async fn patiently<E>(telling: impl Future<Output = Result<(), E>>) -> Result<(), Stopped> {
    match timeout(HANGS, telling).await {
        Ok(told) => told.map_err(|_| Stopped),
        Err(_) => Ok(()),
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
