//! The callers of a bench, for nodes and for the floor. Each lane submits a task, awaits the
//! result, compares it, and continues with the next task.

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
    F: Future<Output = anyhow::Result<Instant>> + 'static,
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

/// Runs this many tasks one at a time. `one` returns when its task was accepted.
pub(super) async fn single<F: Future<Output = anyhow::Result<Instant>>>(
    tasks: u64,
    one: &impl Fn(u64) -> F,
) -> anyhow::Result<Single> {
    let (mut acceptances, mut latencies) = (Vec::new(), Vec::new());
    for number in 0..tasks {
        let start = Instant::now();
        acceptances.push(one(number).await? - start);
        latencies.push(start.elapsed());
    }
    let accepted_p50_us = percentile(&mut acceptances, 50);
    let (p50_us, p99_us) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
    Ok(Single { accepted_p50_us, p50_us, p99_us })
}

/// Checks that the result equals the input.
pub(super) fn compare(output: &Bytes, input: &Bytes) -> anyhow::Result<()> {
    if output != input {
        bail!("a result of {} bytes is not the input of {} bytes", output.len(), input.len());
    }
    Ok(())
}

/// A percentile of `times` in microseconds. Sorts `times`.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
