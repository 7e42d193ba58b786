//! `ping`.

use meshwork_api::{Client, PingAnswer};
use tokio::time::MissedTickBehavior;

use crate::{
    args::PingArgs,
    exit,
    failure::Failure,
    output::{Output, format},
    signals::Signals,
};

#[cfg(test)]
mod tests;

/// Sends `--count` echo requests, or fewer if interrupted, and prints a summary.
pub(super) async fn ping(args: PingArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let mut times = Times::default();
    let interrupted = tokio::select! {
        done = ask(&args, client, out, &mut times) => {
            done?;
            false
        }
        () = signals.next() => true,
    };
    out.say(times.summary());
    Ok(match (interrupted, times.answered) {
        (true, _) => exit::INTERRUPTED,
        (false, 0) => exit::FAILED,
        (false, _) => exit::DONE,
    })
}

async fn ask(
    args: &PingArgs,
    client: &Client,
    out: &Output,
    times: &mut Times,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..args.count {
        ticks.tick().await;
        times.sent += 1;
        match client.ping(&args.peer).await {
            Ok(pong) => {
                times.add(pong.round_trip_us);
                print(&pong, out)?;
            }
            // The next request may succeed.
            Err(error) if error.is_retryable() => out.failure(&Failure::of(error.into())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn print(pong: &PingAnswer, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return out.value(pong);
    }
    let text = if out.quiet { pong.peer_id.clone() } else { line(pong) };
    Ok(out.line(text)?)
}

/// `bee direct /ip4/192.168.1.7/tcp/4101 tcp  0.4ms`.
fn line(pong: &PingAnswer) -> String {
    let PingAnswer { peer_id, name, round_trip_us, path, transport, address } = pong;
    let label = format::peer_label(name.as_deref(), peer_id);
    format!("{label} {path} {address} {transport}  {}", format::micros(*round_trip_us))
}

/// Counts and round-trip times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    sent: u32,
    answered: u32,
    least: u64,
    most: u64,
    sum: u64,
}

impl Times {
    fn add(&mut self, round_trip_us: u64) {
        let least = if self.answered == 0 { round_trip_us } else { self.least };
        self.least = least.min(round_trip_us);
        self.most = self.most.max(round_trip_us);
        self.sum = self.sum.saturating_add(round_trip_us);
        self.answered += 1;
    }

    fn summary(&self) -> String {
        let counts = format!("{} sent, {} received", self.sent, self.answered);
        let Some(mean) = self.sum.checked_div(u64::from(self.answered)) else { return counts };
        let [least, mean, most] =
            [self.least, mean, self.most].map(|micros| format!("{:.1}", micros as f64 / 1_000.0));
        format!("{counts}; min/avg/max {least}/{mean}/{most} ms")
    }
}
