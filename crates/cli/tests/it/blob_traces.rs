//! Power cuts on a stricter disk than those at hand: the system calls of owner and worker are recorded
//! from their first start, while files and folders are added, fetched and collected. Then each is
//! started in states of its home in which a power cut may have left it at points of the recording.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    blob_trial::{Side, Trial},
    load::{Acknowledged, Random},
    support::{note, number, skip},
    trace::{self, CALLS, Event},
    trace_disk::{TraceDisk, Unsynced},
};

/// Default number of points for each node, beside
/// up to two per point at answers; `MESHWORK_POWER_CUTS` overrides it.
const POINTS: usize = 2;

/// Two rounds of a trial, between which both nodes are restarted.
struct Recorded {
    trial: Trial,
    /// The homes were empty at first; their paths are in the recordings.
    homes: [PathBuf; 2],
    events: [Vec<Vec<Event>>; 2],
}

impl Recorded {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // `$$` is the process that becomes strace.
        let calls = dir.path().join("calls");
        let strace = format!(
            "exec strace -f -qq -y -xx -s 9999999 -o {}-$$ -e trace={CALLS} \"$0\" \"$@\"",
            calls.display()
        );
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let paths = [&homes[0], &homes[1]].map(|home| home.path().to_owned());
        let mut trial = Trial::new(seed, &strace, homes);
        let mut events = [Vec::new(), Vec::new()];
        let mut end = |trial: &mut Trial| {
            [Side::Worker, Side::Owner].map(|side| {
                let (home, process) = trial.stop(side);
                let path = format!("{}-{process}", calls.display());
                events[side as usize].push(trace::read(Path::new(&path)));
                (side, home)
            })
        };
        let homes: [(Side, TempDir); 2] = end(&mut trial);
        for (side, home) in homes.into_iter().rev() {
            trial.start(side, home);
        }
        trial.undisturbed();
        end(&mut trial);
        Self { trial, homes: paths, events }
    }

    /// The calls of a node in all its processes.
    fn events(&self, side: Side) -> impl Iterator<Item = &Event> {
        self.events[side as usize].iter().flatten()
    }

    /// Where the answer begins that is the n-th one with this text.
    fn answer(&self, text: &str, number: usize) -> Option<usize> {
        let answers = self
            .events(Side::Owner)
            .enumerate()
            .filter(|(_, event)| matches!(event, Event::Begins { call, .. } if call.answers(text)));
        answers.map(|(at, _)| at).nth(number - 1)
    }

    /// Where a node is up: the first blob arrives from a caller or a peer.
    fn up(&self, side: Side) -> usize {
        let is_blob = |path: &PathBuf| {
            path.parent()
                .is_some_and(|dir| dir.ends_with("blobs/new") || dir.ends_with("blobs/partial"))
        };
        let up = self.events(side).position(
            |event| matches!(event, Event::Ends { call, .. } if call.files.iter().any(|(_, path)| is_blob(path))),
        );
        up.expect("it has blobs")
    }

    /// Cuts the power of a node at these points of its recording, and starts it afterwards.
    fn cut(&mut self, side: Side, mut points: Vec<(usize, Unsynced)>, acks: &[Ack]) {
        points.sort_unstable_by_key(|(at, _)| *at);
        let mut points = points.into_iter().peekable();
        let mut disk = TraceDisk::empty(&self.homes[side as usize]);
        let mut at = 0;
        for process in &self.events[side as usize] {
            disk.restart();
            for event in process {
                while let Some((_, unsynced)) = points.next_if(|(point, _)| *point == at) {
                    let known: Vec<_> = acks.iter().filter_map(|ack| ack.by(at)).collect();
                    note(&format!("{side:?} at {at}: {unsynced:?}, {} acknowledged", known.len()));
                    let home = tempfile::tempdir().unwrap();
                    disk.after_cut(unsynced, home.path());
                    self.trial.check_restored(side, home, &known);
                }
                disk.follow(event);
                at += 1;
            }
        }
        assert!(points.next().is_none());
    }
}

/// An item, and where its parts were acknowledged.
struct Ack {
    item: Acknowledged,
    added: usize,
    submitted: Option<usize>,
}

impl Ack {
    /// What was acknowledged before this point.
    fn by(&self, at: usize) -> Option<Acknowledged> {
        let mut item = self.item.clone();
        item.task = item.task.filter(|_| self.submitted.is_some_and(|begin| begin <= at));
        (self.added <= at).then_some(item)
    }
}

/// Points between these, one in each of as many equal parts.
fn spread(count: usize, from: usize, to: usize, random: &mut Random) -> Vec<(usize, Unsynced)> {
    let width = ((to - from) / count.max(1)).max(1);
    let point = |part: usize| {
        let at = from + part * width + random.below(width as u64) as usize;
        (at.min(to - 1), Unsynced::Mixed(random.next()))
    };
    (0..count).map(point).collect()
}

#[test]
fn nodes_start_from_any_state_of_their_disks() {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    if !traced.is_ok_and(|status| status.success()) {
        skip("needs strace, and the right to use it");
        return;
    }
    let seed = number("MESHWORK_SEED").unwrap_or(1) as u64;
    let count = number("MESHWORK_POWER_CUTS").unwrap_or(POINTS);
    let mut recorded = Recorded::new(seed);
    let acks: Vec<Ack> = recorded
        .trial
        .acknowledged()
        .iter()
        .map(|item| Ack {
            item: item.clone(),
            added: recorded
                .answer(&item.blob.hash.to_string(), item.adds())
                .expect("it was answered"),
            submitted: item.task.as_deref().and_then(|id| recorded.answer(id, 1)),
        })
        .collect();
    let mut random = Random(seed);
    for side in [Side::Owner, Side::Worker] {
        let (from, to) = (recorded.up(side), recorded.events(side).count());
        let mut points = spread(count, from, to, &mut random);
        if side == Side::Owner {
            // The moments of answers are the ones at which a missing sync shows.
            let answers = acks.iter().flat_map(|ack| [Some(ack.added), ack.submitted]);
            let answers: BTreeSet<usize> = answers.flatten().collect();
            let some = answers.iter().step_by(answers.len().div_ceil(2 * count));
            points.extend(some.map(|at| (*at, Unsynced::Lost)));
        }
        // To callers the worker has acknowledged nothing.
        let acks = if side == Side::Owner { &acks[..] } else { &[] };
        note(&format!("{side:?}: {} states of {to} calls", points.len()));
        recorded.cut(side, points, acks);
    }
}
