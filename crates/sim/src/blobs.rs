//! The blobs of a run: which contents there are, who may have which of them, and the choices that
//! concern them. They have a generator of their own, so that a run without blobs is not changed by
//! them.
//!
//! Absent on purpose: the bytes. A blob is its hash, its size and the blobs that it names; which
//! node has it is known to the [disks](crate::disk).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use meshwork_core::{BlobForm, BlobHash, BlobRef, Time, engine::NewBlob};

use crate::{
    blob_load::BlobLoad,
    event::{BlobStep, Event},
    faults::FaultKind,
    limits,
    rng::SimRng,
    scenario::Scenario,
    timeline::Timeline,
};

/// What a blob is.
#[derive(Clone, Debug)]
struct Content {
    size: u64,
    links: Vec<BlobHash>,
}

/// The contents of a run, and what its nodes have done with them.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) load: BlobLoad,
    pub(crate) rng: SimRng,
    contents: BTreeMap<BlobHash, Content>,
    /// The files among them, which folders share.
    files: Vec<BlobHash>,
    /// Inputs of tasks, with their owner.
    inputs: Vec<(usize, BlobRef)>,
    /// Inputs whose hash an owner has guessed.
    guessed: BTreeSet<(usize, BlobHash)>,
    /// Blobs that a node has given to another: inputs of assignments, and outputs of attempts.
    given: BTreeSet<(usize, usize, BlobHash)>,
}

impl Blobs {
    pub(crate) fn new(load: BlobLoad, seed: u64) -> Self {
        Self {
            load,
            rng: SimRng::new(seed.rotate_left(16) ^ 0xb10b),
            contents: BTreeMap::new(),
            files: Vec::new(),
            inputs: Vec::new(),
            guessed: BTreeSet::new(),
            given: BTreeSet::new(),
        }
    }

    /// Whether this run has blobs.
    pub(crate) fn are_on(&self) -> bool {
        self.load != BlobLoad::none()
    }

    // === Contents ===

    /// A file or a folder that was not there before. A folder may name files that were.
    pub(crate) fn make(&mut self) -> BlobRef {
        if !self.rng.chance(self.load.folders) {
            let (hash, size) = self.make_file();
            return BlobRef::file(hash, size, false);
        }
        let mut sum = 0;
        let parts: Vec<BlobHash> = (0..1 + self.rng.below(limits::BLOB_PARTS))
            .map(|_| {
                let files = 0..self.rng.below(limits::BLOB_PART_FILES + 1);
                let files: Vec<BlobHash> = files.map(|_| self.some_file()).collect();
                sum += files.iter().map(|file| self.size(file)).sum::<u64>();
                sum += limits::BLOB_PART_BYTES;
                self.add(limits::BLOB_PART_BYTES, files)
            })
            .collect();
        let hash = self.add(limits::BLOB_ROOT_BYTES, parts);
        let list = limits::BLOB_ROOT_BYTES as u32;
        BlobRef { hash, size: sum, form: BlobForm::Folder, list }
    }

    /// A file of a folder: a new one, or one that is there.
    fn some_file(&mut self) -> BlobHash {
        let known = self.files.get(self.rng.below(self.files.len())).copied();
        match known.filter(|_| self.rng.chance(300)) {
            Some(file) => file,
            None => self.make_file().0,
        }
    }

    fn make_file(&mut self) -> (BlobHash, u64) {
        let most = if self.rng.chance(200) { limits::BLOB_LARGE } else { limits::BLOB_LARGE / 16 };
        let size = 1 + self.rng.below(most) as u64;
        let hash = self.add(size, Vec::new());
        self.files.push(hash);
        (hash, size)
    }

    fn add(&mut self, size: u64, links: Vec<BlobHash>) -> BlobHash {
        let hash = BlobHash::of(format!("blob {}", self.contents.len()).as_bytes());
        self.contents.insert(hash, Content { size, links });
        hash
    }

    /// Size of a blob in bytes.
    pub(crate) fn size(&self, hash: &BlobHash) -> u64 {
        self.contents.get(hash).map_or(0, |content| content.size)
    }

    /// The blobs that a blob names.
    pub(crate) fn links(&self, hash: &BlobHash) -> &[BlobHash] {
        self.contents.get(hash).map_or(&[], |content| &content.links)
    }

    /// A blob and all that it names, each once; one that names others comes after them.
    pub(crate) fn closure(&self, root: &BlobHash) -> Vec<BlobHash> {
        let mut found = Vec::new();
        self.add_closure(root, &mut found);
        found
    }

    fn add_closure(&self, hash: &BlobHash, found: &mut Vec<BlobHash>) {
        for link in self.links(hash) {
            self.add_closure(link, found);
        }
        if !found.contains(hash) {
            found.push(*hash);
        }
    }

    /// A blob as a host reports it, with the serial of its file.
    pub(crate) fn new_blob(&self, hash: BlobHash, serial: u64) -> NewBlob {
        NewBlob { hash, size: self.size(&hash), serial, links: self.links(&hash).to_vec() }
    }

    /// A random blob of any kind.
    pub(crate) fn any(&mut self) -> Option<BlobHash> {
        let at = self.rng.below(self.contents.len());
        self.contents.keys().nth(at).copied()
    }

    /// A random budget of a node.
    pub(crate) fn budget(&mut self) -> u64 {
        let least = self.load.budget / 2;
        least + self.rng.below(usize::try_from(least).unwrap_or(usize::MAX)) as u64
    }

    /// Plans what happens to blobs, at random times.
    pub(crate) fn plan(&mut self, timeline: &mut Timeline, scenario: &Scenario) {
        if !self.are_on() {
            return;
        }
        let BlobLoad { damages, full_disks, collects, budgets, snoops, .. } = self.load;
        for (most, what) in
            [(damages, 0), (full_disks, 1), (collects, 2), (budgets, 3), (snoops, 4)]
        {
            for _ in 0..self.rng.below(most as usize + 1) {
                let at = Time::ZERO + scenario.with_rests(self.rng.up_to(scenario.period));
                let node = self.rng.below(scenario.nodes);
                let event = match what {
                    0 => Event::Fault(FaultKind::BlobDamaged),
                    1 => Event::Fault(FaultKind::FullDisk),
                    2 => Event::Blobs { node, boot: 0, step: BlobStep::Collect },
                    3 => Event::Blobs { node, boot: 0, step: BlobStep::ChangeBudget },
                    _ => Event::Blobs { node, boot: 0, step: BlobStep::Snoop },
                };
                timeline.plan(at, event);
            }
        }
    }

    /// How much longer a node that has died stays away: rarely for a rest of the network, in which
    /// the leases of its blobs at others end.
    pub(crate) fn absence(&mut self, scenario: &Scenario) -> Duration {
        if scenario.rests > 0 && self.rng.chance(limits::ABSENCE) {
            limits::REST + self.rng.millis(0, 20_000)
        } else {
            Duration::ZERO
        }
    }

    // === Tasks ===

    /// The input of a new task, if it is a blob. Its owner may only guess the hash.
    pub(crate) fn input(&mut self, owner: usize) -> Option<BlobRef> {
        if !self.rng.chance(self.load.inputs) {
            return None;
        }
        let known = self.inputs.get(self.rng.below(self.inputs.len())).copied();
        let has = |blob: &BlobRef| self.inputs.contains(&(owner, *blob));
        if let Some((_, blob)) = known.filter(|(of, blob)| *of != owner && !has(blob))
            && self.rng.chance(self.load.guesses)
        {
            self.guessed.insert((owner, blob.hash));
            // The guesser's engine takes no list that holds nothing: it says that it is a file.
            return Some(BlobRef::file(blob.hash, self.size(&blob.hash), false));
        }
        let known = known.filter(|(_, blob)| !self.guessed.contains(&(owner, blob.hash)));
        let input = match known.filter(|_| self.rng.chance(400)) {
            Some((_, blob)) => blob,
            None => self.make(),
        };
        self.inputs.push((owner, input));
        Some(input)
    }

    /// The output of an attempt, if it is a blob: mostly a new one, or the input itself.
    pub(crate) fn output(&mut self, input: Option<BlobRef>) -> Option<BlobRef> {
        if !self.rng.chance(self.load.outputs) {
            return None;
        }
        let same = input.filter(|_| self.rng.chance(100));
        Some(same.unwrap_or_else(|| self.make()))
    }

    /// Whether this owner has only guessed the hash of this input.
    pub(crate) fn is_guessed(&self, owner: usize, hash: &BlobHash) -> bool {
        self.guessed.contains(&(owner, *hash))
    }

    // === Rights ===

    /// A node gives a blob to another: from now on that one may fetch it.
    pub(crate) fn give(&mut self, from: usize, to: usize, root: BlobHash) {
        self.given.insert((from, to, root));
    }

    /// Whether a node has ever given another a blob that is, or names, this one.
    pub(crate) fn was_given(&self, from: usize, to: usize, hash: &BlobHash) -> bool {
        let root = BlobHash::from_bytes([0; 32]);
        let given = self.given.range((from, to, root)..);
        let mut given = given.take_while(|(of, by, _)| (*of, *by) == (from, to));
        given.any(|(_, _, root)| self.closure(root).contains(hash))
    }
}
