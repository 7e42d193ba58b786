//! Adds up the results of the workers.

use std::{collections::HashMap, time::Duration};

use meshwork_core::{PeerId, TaskResult};
use meshwork_exec::text::TopWords;

#[cfg(test)]
mod tests;

/// The sum of all results.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) words: u64,
    pub(super) by_word: HashMap<String, u64>,
    pub(super) by_worker: HashMap<PeerId, u64>,
    pub(super) latencies: Vec<Duration>,
    pub(super) failed: u64,
    /// Why the first failed task failed.
    pub(super) first_failure: Option<String>,
}

impl Tally {
    /// Adds a task's result. A result that cannot be parsed counts as failed.
    pub(super) fn add(&mut self, result: &TaskResult, latency: Duration) {
        let bytes = result.bytes().map(AsRef::as_ref).unwrap_or_default();
        let TopWords { words, top } = match serde_json::from_slice(bytes) {
            Ok(counted) => counted,
            Err(error) => return self.fail(format!("the result cannot be read: {error}")),
        };
        self.words += words;
        for counted in top {
            *self.by_word.entry(counted.word).or_default() += counted.count;
        }
        *self.by_worker.entry(result.worker).or_default() += 1;
        self.latencies.push(latency);
    }

    /// Counts a failed task.
    pub(super) fn fail(&mut self, why: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(why);
    }

    /// A percentile of the latencies, by the nearest-rank method.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// The `n` most frequent words; words of equal count in the order of their code points.
    pub(super) fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut words: Vec<(&str, u64)> =
            self.by_word.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        words.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        words.truncate(n);
        words
    }
}
