//! The report of the demo: its counts, and whether they are correct.

use meshwork_core::PeerId;
use meshwork_exec::text::count_words;
use serde::{Serialize, Serializer};

use super::{corpus::Corpus, owner::Ran};
use crate::output::format;

#[cfg(test)]
mod tests;

/// Number of words in `top_words`.
const TOP: usize = 10;

fn seconds_as_millis<S: Serializer>(seconds: &f64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(*seconds * 1_000.0)
}

fn micros_as_millis<S: Serializer>(micros: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(*micros as f64 / 1_000.0)
}

/// The JSON of `demo`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every task succeeded and the totals are equal.
    pub(super) ok: bool,
    /// Number of text files.
    pub(super) files: usize,
    /// Words that the workers counted.
    pub(super) words: u64,
    /// Words that one thread counted, file by file.
    pub(super) expected_words: u64,
    /// Time from the first submit to the last result.
    #[serde(rename = "took_ms", serialize_with = "seconds_as_millis")]
    pub(super) seconds: f64,
    pub(super) tasks_per_s: f64,
    /// Median time from the submit of a task to its result.
    #[serde(rename = "p50_ms", serialize_with = "micros_as_millis")]
    pub(super) p50_us: u64,
    #[serde(rename = "p99_ms", serialize_with = "micros_as_millis")]
    pub(super) p99_us: u64,
    pub(super) workers: Vec<WorkerReport>,
    /// Number of all tasks.
    pub(super) tasks: u64,
    /// Number of tasks without a result.
    pub(super) failed: u64,
    pub(super) top_words: Vec<WordReport>,
}

/// The tasks that one worker ran.
#[derive(Debug, Serialize)]
pub(super) struct WorkerReport {
    pub(super) name: String,
    #[serde(rename = "peer")]
    pub(super) peer_id: String,
    pub(super) tasks: u64,
}

/// How often a word occurs.
#[derive(Debug, Serialize)]
pub(super) struct WordReport {
    pub(super) word: String,
    pub(super) count: u64,
}

impl Report {
    /// Counts the corpus again, in one thread and uncut, and compares the totals.
    pub(super) fn of(ran: Ran, corpus: &Corpus, workers: &[(String, PeerId)]) -> Self {
        let Ran { tally, tasks, took } = ran;
        let expected_words: u64 = corpus
            .files
            .iter()
            .filter_map(|file| std::str::from_utf8(file).ok())
            .map(count_words)
            .sum();
        let seconds = took.as_secs_f64();
        Self {
            ok: tally.failed == 0 && tally.words == expected_words,
            files: corpus.files.len(),
            words: tally.words,
            expected_words,
            seconds,
            tasks_per_s: if seconds > 0.0 { tasks as f64 / seconds } else { 0.0 },
            p50_us: micros(tally.percentile(50)),
            p99_us: micros(tally.percentile(99)),
            workers: workers
                .iter()
                .map(|(name, peer)| WorkerReport {
                    name: name.clone(),
                    peer_id: peer.to_string(),
                    tasks: tally.by_worker.get(peer).copied().unwrap_or(0),
                })
                .collect(),
            tasks,
            failed: tally.failed,
            top_words: tally
                .top(TOP)
                .into_iter()
                .map(|(word, count)| WordReport { word: word.to_owned(), count })
                .collect(),
        }
    }

    /// The report as text.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} words, {} files, {} tasks in {:.2} s: {:.0} tasks/s, p50 {}, p99 {}\n",
            format::count(self.words),
            format::count(u64::try_from(self.files).unwrap_or(u64::MAX)),
            format::count(self.tasks),
            self.seconds,
            self.tasks_per_s,
            format::micros(self.p50_us),
            format::micros(self.p99_us),
        );
        for worker in &self.workers {
            let tasks = format::count(worker.tasks);
            let peer = format::short_peer(&worker.peer_id);
            text.push_str(&format!("  {}  {peer}  {tasks} tasks\n", worker.name));
        }
        let top: Vec<String> = self
            .top_words
            .iter()
            .map(|top| format!("{} {}", format::printable(&top.word), format::count(top.count)))
            .collect();
        text.push_str(&format!("top words: {}\n", top.join(", ")));
        let verdict = if self.words == self.expected_words { "the same" } else { "NOT the same" };
        let expected = format::count(self.expected_words);
        text.push_str(&format!("one thread counts {expected} words: {verdict}\n"));
        text
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
