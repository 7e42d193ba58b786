//! Reads a planned directory and makes its blobs, one step at a time.
//!
//! The caller stores each blob before it asks for the next step, so a store that is slow or far away
//! slows the reading, and nothing piles up.

use std::{
    io::{self, Read as _},
    mem,
    path::PathBuf,
};

use bytes::Bytes;
use meshwork_core::blob::{BlobHash, BlobRef};
use rustix::io::Errno;

use super::{
    descent::Descent,
    encode::Encoder,
    error::{PackError, PlanError},
    name::{check_target, split, to_path},
    part::{Entry, Node},
    plan::{Item, ItemKind, Plan, open_file, read_link, single_open},
    steady::SteadyFile,
};
use crate::limits::INLINE_FILE_BYTES;

/// A folder that is being packed.
#[derive(Debug)]
pub struct Pack {
    plan: Plan,
    descent: Descent,
    encoder: Encoder,
    /// Place of the next entry in the plan.
    place: usize,
    state: State,
}

/// What a pack does next.
#[derive(Debug)]
enum State {
    /// Reads entries, from the one at `place`.
    Entries,
    /// Yields a large file once more, because it changed while its caller read it. Then `Entries`.
    Again(SteadyFile),
    /// Yields a part that a large file has completed. Then `Entries`.
    Part(Bytes),
    /// Yields the root. Then `Done`.
    Root,
    /// The folder is packed.
    Done,
    /// An error has ended it.
    Failed,
}

/// What the caller of [`Pack::step`] does.
#[derive(Debug)]
pub enum PackStep {
    /// Read the file to its end, store its bytes as a blob, and [`give`](Pack::give) its hash.
    File(SteadyFile),
    /// Store these bytes as a blob.
    Part(Bytes),
    /// Store these bytes as a blob: it is the folder, which is complete with it.
    Root {
        /// The bytes of the root.
        bytes: Bytes,
        /// The folder.
        folder: BlobRef,
    },
    /// Nothing: the folder is packed.
    Done,
}

impl Pack {
    /// Begins to pack a planned directory.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(plan: Plan) -> Result<Self, PackError> {
        let top = plan
            .top
            .try_clone()
            .map_err(|source| PackError::Unreadable { path: plan.source.clone(), source })?;
        Ok(Self {
            descent: Descent::with_links(top, plan.links),
            plan,
            encoder: Encoder::default(),
            place: 0,
            state: State::Entries,
        })
    }

    /// Goes on to the next blob. A file that was not given yet is yielded again.
    ///
    /// # Errors
    /// Something changed since the plan, or cannot be read. The pack is given up then.
    pub fn step(&mut self) -> Result<PackStep, PackError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Entries => self.step_entries(),
            State::Again(file) => {
                self.state = State::Entries;
                Ok(PackStep::File(file))
            }
            State::Part(part) => {
                self.state = State::Entries;
                Ok(PackStep::Part(part))
            }
            State::Root => {
                let (bytes, folder) = self.encoder.root()?;
                self.state = State::Done;
                Ok(PackStep::Root { bytes, folder })
            }
            State::Done => {
                self.state = State::Done;
                Ok(PackStep::Done)
            }
            State::Failed => Err(PackError::GivenUp),
        }
    }

    /// Takes back a file of [`PackStep::File`], whose bytes were stored with this hash. If the file
    /// changed meanwhile, the next step yields it once more.
    ///
    /// # Errors
    /// The file changed both times. The pack is given up then.
    pub fn give(&mut self, file: SteadyFile, hash: BlobHash) -> Result<(), PackError> {
        self.state = State::Failed;
        let Some((item, path)) = self.entry() else { return Ok(()) };
        if let Err(error) = file.check() {
            return self.repeat(file, error);
        }
        let node = Node::Blob { executable: item.is_executable(), hash, size: item.size };
        self.state = match self.add(&path, node)? {
            Some(part) => State::Part(part),
            None => State::Entries,
        };
        Ok(())
    }

    /// Takes back a file that changed before its bytes were stored. The next step yields it once more.
    ///
    /// # Errors
    /// The file changed both times. The pack is given up then.
    pub fn give_changed(&mut self, file: SteadyFile) -> Result<(), PackError> {
        self.state = State::Failed;
        let changed = PackError::Changed { path: file.path().to_owned() };
        self.repeat(file, changed)
    }

    /// Lets the next step yield a changed file once more; fails with `error` at its second change.
    fn repeat(&mut self, mut file: SteadyFile, error: PackError) -> Result<(), PackError> {
        if file.was_restarted() {
            return Err(error);
        }
        let Some((item, path)) = self.entry() else { return Ok(()) };
        file.restart()?;
        self.require_size(&path, &file, item)?;
        self.state = State::Again(file);
        Ok(())
    }

    fn step_entries(&mut self) -> Result<PackStep, PackError> {
        while let Some((item, path)) = self.entry() {
            let part = match item.kind {
                ItemKind::Directory => self.pack_directory(&path)?,
                ItemKind::Link => self.pack_link(&path)?,
                ItemKind::File { .. } => {
                    let file = self.open(&path, item)?;
                    if item.size > INLINE_FILE_BYTES as u64 {
                        self.state = State::Entries;
                        return Ok(PackStep::File(file));
                    }
                    self.pack_small_file(&path, item, file)?
                }
            };
            if let Some(part) = part {
                self.state = State::Entries;
                return Ok(PackStep::Part(part));
            }
        }
        self.state = State::Root;
        match self.encoder.last_part() {
            Some(part) => Ok(PackStep::Part(part)),
            None => self.step(),
        }
    }

    /// The next entry of the plan and its path. The descent is in its directory.
    fn entry(&mut self) -> Option<(Item, Vec<u8>)> {
        let item = self.plan.item(self.place)?;
        self.descent.leave_to(item.depth());
        Some((item, self.descent.join(self.plan.name(item))))
    }

    fn add(&mut self, path: &[u8], node: Node<'_>) -> Result<Option<Bytes>, PackError> {
        self.place += 1;
        Ok(self.encoder.add(Entry { path, node })?)
    }

    fn pack_directory(&mut self, path: &[u8]) -> Result<Option<Bytes>, PackError> {
        let entered = self.descent.enter(split(path).1);
        entered.map_err(|source| self.failed(path, source))?;
        self.add(path, Node::Directory)
    }

    fn pack_link(&mut self, path: &[u8]) -> Result<Option<Bytes>, PackError> {
        let target =
            self.descent.current().and_then(|directory| read_link(directory, split(path).1));
        let target = target.map_err(|source| self.failed(path, source))?;
        if check_target(path, &target).is_err() {
            return Err(self.changed(path));
        }
        self.add(path, Node::Link { target: &target })
    }

    fn pack_small_file(
        &mut self,
        path: &[u8],
        item: Item,
        mut file: SteadyFile,
    ) -> Result<Option<Bytes>, PackError> {
        let mut bytes = Vec::with_capacity(item.size as usize);
        loop {
            file.read_to_end(&mut bytes).map_err(|source| self.failed(path, source))?;
            match file.check() {
                Ok(()) => break,
                Err(error) if file.was_restarted() => return Err(error),
                Err(_) => file.restart()?,
            }
            self.require_size(path, &file, item)?;
            bytes.clear();
        }
        self.add(path, Node::Inline { executable: item.is_executable(), bytes: &bytes })
    }

    fn open(&mut self, path: &[u8], item: Item) -> Result<SteadyFile, PackError> {
        let links = self.plan.links;
        let opened =
            self.descent.current().and_then(|directory| open_file(directory, split(path).1, links));
        let opened = opened.map_err(|source| self.failed(path, source))?;
        let file = single_open(opened, &self.shown(path)).map_err(|error| match error {
            PlanError::Unreadable { path, source } => PackError::Unreadable { path, source },
            // It was a file when it was planned.
            PlanError::Unsupported { .. }
            | PlanError::NotFile { .. }
            | PlanError::Link { .. }
            | PlanError::Path { .. }
            | PlanError::TooLarge { .. } => self.changed(path),
        })?;
        self.require_size(path, &file, item)?;
        Ok(file)
    }

    /// Refuses a file of another size than planned: room was asked for by the plan.
    fn require_size(&self, path: &[u8], file: &SteadyFile, item: Item) -> Result<(), PackError> {
        if file.size() == item.size { Ok(()) } else { Err(self.changed(path)) }
    }

    fn failed(&self, path: &[u8], source: io::Error) -> PackError {
        let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::INVAL, Errno::NXIO];
        if gone.iter().any(|one| source.raw_os_error() == Some(one.raw_os_error())) {
            return self.changed(path);
        }
        PackError::Unreadable { path: self.shown(path), source }
    }

    fn changed(&self, path: &[u8]) -> PackError {
        PackError::Changed { path: self.shown(path) }
    }

    fn shown(&self, path: &[u8]) -> PathBuf {
        self.plan.source.join(to_path(path))
    }
}
