//! The callers of a bench, the same for nodes and for the floor: lanes that each submit one task,
//! await its result, compare it, and go on with the next.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::bail;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::child::{Burst, Single};

/// Runs tasks 0 to `tasks` on `window` lanes. Needs a [`LocalSet`](tokio::task::LocalSet).
pub(super) async fn burst<F>(
    window: usize,
    tasks: u64,
    one: Rc<impl Fn(u64) -> F + 'static>,
) -> anyhow::Result<Burst>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let next = Rc::new(Cell::new(0));
    let mut running = JoinSet::new();
    let start = Instant::now();
    for _ in 0..window.min(usize::try_from(tasks).unwrap_or(usize::MAX)) {
        let (next, one) = (Rc::clone(&next), Rc::clone(&one));
        running.spawn_local(async move {
            while next.get() < tasks {
                one(next.replace(next.get() + 1)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(Burst { seconds: start.elapsed().as_secs_f64() })
}

/// Runs so many tasks one at a time.
pub(super) async fn single<F: Future<Output = anyhow::Result<()>>>(
    tasks: u64,
    one: &impl Fn(u64) -> F,
) -> anyhow::Result<Single> {
    let mut latencies = Vec::new();
    for number in 0..tasks {
        let start = Instant::now();
        one(number).await?;
        latencies.push(start.elapsed());
    }
    Ok(percentiles(&mut latencies))
}

/// The result must be the input.
pub(super) fn compare(output: &Bytes, input: &Bytes) -> anyhow::Result<()> {
    if output != input {
        bail!("a result of {} bytes is not the input of {} bytes", output.len(), input.len());
    }
    Ok(())
}

/// The 50th and 99th percentile of some latencies, which are sorted on the way.
fn percentiles(latencies: &mut [Duration]) -> Single {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    Single { p50_us: at(50), p99_us: at(99) }
}
