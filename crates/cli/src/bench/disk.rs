//! The speed of the disk alone, for comparison.

use std::{io::Write, time::Instant};

use anyhow::Context;

/// Median time of an fsync after writing 4 KiB, in microseconds, in the folder where the bench's
/// nodes keep their journals.
pub(super) fn fsync_us() -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        file.write_all(&[1; 4_096])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(TIMES / 2).copied().unwrap_or_default())
}

const TIMES: usize = 201;
