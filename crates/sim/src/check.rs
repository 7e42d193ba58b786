//! Checks the whole world: while it runs, and when everything rests.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use meshwork_core::{
    Epoch, PeerId, TaskId, TaskState, Time, ToWorker,
    engine::{
        Effect, Engine, Input,
        view::{Obstacle, Sizes},
    },
};

use crate::{
    Invariant,
    event::Event,
    history::Job,
    limits,
    node::{Node, Process},
    report::{Broken, Step},
    world::World,
};

impl World<'_> {
    /// When no write is in flight, an engine's counts agree with the ends that it has reported.
    pub(crate) fn check_accounts(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        let Some(process) = node.process() else { return Ok(()) };
        let accounts = process.engine().accounts();
        let (counted, open) = (accounts.queued + accounts.running, process.open().len());
        if counted != open {
            let details = format!("n{index} counts {counted} open tasks, but {open} are open");
            return Err(Broken::new(Invariant::Accounts, details));
        }
        if accounts.dropped_results > 0 {
            let details = format!("n{index} dropped results although it had room for them");
            return Err(Broken::new(Invariant::ResultIsDelivered, details));
        }
        Ok(())
    }

    pub(crate) fn probe(&mut self) -> Step {
        self.look_for_ghosts()?;
        self.look_for_overdue()?;
        self.look_for_idlers()?;
        if self.calm && self.unrest().is_empty() {
            self.rests = true;
        } else {
            self.timeline.plan_in(limits::PROBE, Event::Probe);
        }
        Ok(())
    }

    /// Finds attempts that an owner considers running although their worker does not know them.
    /// Each attempt has its own count, because an owner whose attempts are refused in a row has
    /// another one at each probe.
    fn look_for_ghosts(&mut self) -> Step {
        let mut believed = std::mem::take(&mut self.believed);
        believed.retain(|(owner, worker), before| {
            let knows_none = self.knows_none(*owner, *worker);
            let seen = |epoch| match knows_none {
                true => before.get(&epoch).map_or(1, |seen| seen + 1),
                false => 0,
            };
            *before = self.attempts_at(*owner, *worker).map(|epoch| (epoch, seen(epoch))).collect();
            !before.is_empty()
        });
        self.believed = believed;
        let is_ghost = |seen: &u32| *seen > limits::GHOST_PROBES;
        for ((owner, worker), attempts) in &self.believed {
            if let Some((epoch, _)) = attempts.iter().find(|(_, seen)| is_ghost(seen)) {
                let details = format!(
                    "n{owner} expects attempt {epoch} at n{worker}, which does not have it"
                );
                return Err(Broken::new(Invariant::NoGhosts, details));
            }
        }
        Ok(())
    }

    /// The attempts that the owner believes to be at this worker.
    fn attempts_at(&self, owner: usize, worker: usize) -> impl Iterator<Item = Epoch> {
        let both = self.nodes.get(owner).zip(self.nodes.get(worker));
        both.into_iter()
            .filter_map(|(o, w)| Some((o.engine()?, w.id())))
            .flat_map(|(engine, worker)| engine.read(Time::ZERO).attempts_at(&worker))
    }

    /// Finds tasks that exceed their total time limit, at owners that are awake. Skips ends that
    /// are still being written.
    fn look_for_overdue(&self) -> Step {
        let told = |node: &Node| node.is_awake() && node.disk.is_idle();
        for (index, node) in self.nodes.iter().filter(|(_, node)| told(node)) {
            let Some(process) = node.process() else { continue };
            let engine = process.engine();
            for id in process.open() {
                let job = self.history.job_of(*id).and_then(|job| self.history.jobs.get(job));
                let Some(limit) = job.and_then(|job| job.task.limits.total) else { continue };
                let clock = node.clock(self.timeline.now());
                let Some(view) = engine.read(clock).task(*id) else { continue };
                let overdue =
                    view.end.is_none() && view.submitted + limit + limits::OVERDUE < clock;
                // An end is visible only when it is on disk.
                if overdue && !node.disk.is_ending(*id) {
                    let details = format!("n{index} has not ended {id} at its limit");
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
            }
        }
        Ok(())
    }

    /// Checks that the owner has a task at no more workers than allowed.
    pub(crate) fn check_hedged(&mut self, owner: usize, id: TaskId, attempt: u32) -> Step {
        let Some(node) = self.nodes.get(owner).filter(|_| attempt > 1) else { return Ok(()) };
        let engine = node.engine();
        let Some(view) =
            engine.and_then(|engine| engine.read(node.clock(self.timeline.now())).task(id))
        else {
            return Ok(());
        };
        let at: Vec<_> = view.attempts.iter().filter(|made| made.ended.is_none()).collect();
        let [first, second] = at[..] else {
            if at.len() < 2 {
                return Ok(());
            }
            return Err(Broken::new(Invariant::AtMostTwo, format!("{id} is at {at:?}")));
        };
        let job = self.history.job_of(id).and_then(|job| self.history.jobs.get(job));
        if first.peer == second.peer || !job.is_some_and(|job| job.task.retry.hedge) {
            return Err(Broken::new(Invariant::AtMostTwo, format!("{id} is at {at:?}")));
        }
        self.hedged += u64::from(second.number == attempt);
        Ok(())
    }

    /// Checks that a task without a target goes only to workers that its owner trusts.
    pub(crate) fn check_trust(&self, owner: usize, worker: usize, frames: &[ToWorker]) -> Step {
        let process = self.nodes.process(owner);
        let Some(distrusted) = process.map(Process::distrusted) else { return Ok(()) };
        if !distrusted.contains(&worker) {
            return Ok(());
        }
        for frame in frames {
            let ToWorker::Assign(work) = frame else { continue };
            let job = self.history.job_of(work.task).and_then(|job| self.history.jobs.get(job));
            if job.is_some_and(|job| job.targets.is_empty()) {
                let details = format!(
                    "n{owner} gives {} to n{worker}, but distrusts {distrusted:?}",
                    work.task
                );
                return Err(Broken::new(Invariant::OnlyTrusted, details));
            }
        }
        Ok(())
    }

    /// Finds tasks that wait although a worker is free for them, at two probes in a row.
    fn look_for_idlers(&mut self) -> Step {
        let mut waited = BTreeSet::new();
        for (index, node) in self.nodes.iter().filter(|(_, node)| node.is_awake()) {
            let Some(process) = node.process() else { continue };
            let engine = process.engine();
            let clock = node.clock(self.timeline.now());
            if process.is_closing() || engine.next_timer().is_some_and(|at| at <= clock) {
                // The node is still placing tasks, or does not place any.
                continue;
            }
            for id in process.open().iter().take(limits::LOOKED_AT) {
                let waiting = engine.read(clock).task(*id).and_then(|view| view.waiting);
                let Some(waiting) = waiting.filter(|why| why.next_try.is_none()) else { continue };
                let free = waiting.peers.iter().find(|(_, obstacle)| *obstacle == Obstacle::None);
                let Some((peer, _)) = free else { continue };
                if self.waited.contains(id) {
                    let peer = self.nodes.index(peer);
                    let details = format!("{id} waits at n{index} although n{peer:?} is free");
                    return Err(Broken::new(Invariant::NobodyIdle, details));
                }
                waited.insert(*id);
            }
        }
        self.waited = waited;
        Ok(())
    }

    /// Checks that all engines' tables are empty when everything rests and all timers have fired.
    fn check_tables(&mut self) -> Step {
        for index in 0..self.nodes.len() {
            let up = self.nodes.get(index).filter(|node| node.is_up());
            let Some(mut clock) = up.map(|node| node.clock(self.timeline.now())) else { continue };
            for _ in 0..limits::LAST_TICKS {
                clock = clock + limits::CALM;
                self.tick_alone(index, clock)?;
            }
            let engine = self.nodes.get(index).and_then(Node::engine);
            let sizes = engine.map(Engine::sizes).unwrap_or_default();
            if sizes != Sizes::default() {
                let details = format!("n{index} still has {sizes:?}");
                return Err(Broken::new(Invariant::NothingLeft, details));
            }
        }
        Ok(())
    }

    /// Fires one node's timers. Only its disk answers, so that it can forget old tasks; its other
    /// effects are dropped, because they would only keep it busy.
    fn tick_alone(&mut self, index: usize, clock: Time) -> Step {
        let mut inputs = VecDeque::from([Input::Tick]);
        while let Some(input) = inputs.pop_front() {
            let Some(process) = self.nodes.process_mut(index) else { return Ok(()) };
            process.handle(input, clock, &mut self.rngs.engines);
            for effect in process.end_pass(clock, &mut self.rngs.engines) {
                inputs.extend(self.written(index, effect, clock)?);
            }
        }
        Ok(())
    }

    /// The answer of a disk that takes no time, if the effect is a write.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the disk does nothing else")]
    fn written(
        &mut self,
        index: usize,
        effect: Effect,
        clock: Time,
    ) -> Result<Option<Input>, Broken> {
        match effect {
            Effect::Persist { seq, records } => {
                self.persist_at_once(index, seq, records, clock)?;
                Ok(Some(Input::Persisted { seq }))
            }
            Effect::Archive { volume, tasks } => {
                let first = volume.first;
                if let Some(node) = self.nodes.get_mut(index) {
                    node.disk.write(*volume, tasks);
                }
                Ok(Some(Input::Archived { first }))
            }
            _ => Ok(None),
        }
    }

    /// Whether the two are connected and the worker holds no attempt of the owner.
    fn knows_none(&self, owner: usize, worker: usize) -> bool {
        let Some(o) = self.nodes.process(owner) else { return false };
        let Some(w) = self.nodes.process(worker) else { return false };
        let Some(owner_id) = self.nodes.id(owner) else { return false };
        let session = o.sessions.to_worker(worker);
        let talks = self.wires.carries_well(self.timeline.now(), owner, worker)
            && !o.is_suspended()
            && !w.is_suspended()
            && session.is_some()
            && w.sessions.to_owner(owner) == session;
        let theirs = w.engine();
        talks && theirs.load(&owner_id).held == 0 && theirs.accounts().unacked == 0
    }

    /// How long an owner may be full of tasks that only workers gone for good can run. Each keeps
    /// its place until its time limit, and other tasks are refused meanwhile. In an owner with
    /// little room these times add up, so the limit of a single task does not bound them.
    pub(crate) fn held_in_vain(&self) -> Duration {
        let is_gone = |worker: &PeerId| {
            let node = self.nodes.index(worker).and_then(|index| self.nodes.get(index));
            node.is_some_and(|node| node.is_gone())
        };
        let in_vain = |job: &&Job| !job.targets.is_empty() && job.targets.iter().all(is_gone);
        let waits = |job: &Job| {
            let limits = job.task.limits;
            [limits.queue, limits.total].into_iter().flatten().min().unwrap_or_default()
        };
        let held = |(owner, node): (usize, &Node)| {
            let jobs = self.history.jobs.iter().filter(|job| job.owner == owner);
            let all: Duration = jobs.filter(in_vain).map(waits).sum();
            all / u32::try_from(node.max_owned()).unwrap_or(u32::MAX).max(1)
        };
        let owners = self.nodes.iter().take(self.scenario.owners);
        owners.map(held).max().unwrap_or_default()
    }

    /// Describes what is not at rest; empty if everything rests.
    pub(crate) fn unrest(&self) -> String {
        let mut found = String::new();
        let mut add = |what: String| {
            if found.len() < 2_000 {
                found.push_str(&what);
                found.push('\n');
            }
        };
        for (index, node) in self.nodes.iter().filter(|(_, node)| !node.is_gone()) {
            let Some(process) = node.process().filter(|process| !process.is_suspended()) else {
                add(format!("n{index} is down"));
                continue;
            };
            let engine = process.engine();
            let accounts = engine.accounts();
            let waits = accounts.queued + accounts.running;
            if (waits, accounts.held, accounts.unacked) != (0, 0, 0) {
                add(format!("n{index}: {accounts:?}"));
            }
            if !node.disk.is_idle() || !process.executions.is_empty() {
                add(format!("n{index} is at work"));
            }
            for id in process.open() {
                let view = engine.read(node.clock(self.timeline.now())).task(*id);
                let state = view.as_ref().map(|view| &view.state);
                let why = view.as_ref().and_then(|view| view.waiting.as_ref());
                add(format!("n{index} {id}: {state:?} {why:?}"));
            }
        }
        // These may be many, and the lines above say what they wait for.
        for (number, job) in self.history.jobs.iter().enumerate() {
            if job.answered.is_none() && !job.lost && !job.refused {
                add(format!("job {number} of n{} has no answer", job.owner));
            }
        }
        found
    }

    /// Checks, when everything rests, that all tasks ended as reported and are restored so from
    /// disk.
    pub(crate) fn check_ends(&mut self) -> Step {
        self.timeline.log(format_args!("at rest"));
        self.check_kept()?;
        self.check_tables()?;
        for owner in 0..self.nodes.owners() {
            self.check_known(owner)?;
            self.count_ends(owner)?;
            self.check_groups_in_memory(owner)?;
            self.kill(owner, false);
            self.start(owner)?;
            self.check_groups(owner)?;
        }
        let (ends, jobs) = (self.ends.total(), self.history.jobs.len());
        if ends != u64::try_from(jobs).unwrap_or(u64::MAX) {
            let details = format!("{ends} of {jobs} tasks have ended");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        Ok(())
    }

    /// Checks that no worker has an unacknowledged result on its disk.
    fn check_kept(&self) -> Step {
        for (index, node) in self.nodes.iter().filter(|(_, node)| !node.is_gone()) {
            let (_, mut kept) = node.disk.ledger().into_parts();
            if let Some((kept, _)) = kept.next() {
                let details =
                    format!("n{index} still keeps attempt {} of task {}", kept.epoch, kept.task);
                return Err(Broken::new(Invariant::ResultIsDelivered, details));
            }
        }
        Ok(())
    }

    fn count_ends(&mut self, owner: usize) -> Step {
        let Some(node) = self.nodes.get(owner) else { return Ok(()) };
        for job in self.history.jobs.iter().filter(|job| job.owner == owner) {
            if job.lost {
                self.ends.lost += 1;
                continue;
            }
            if job.refused {
                self.ends.refused += 1;
                continue;
            }
            let Some(id) = job.answered else { continue };
            let Some(view) = node.view(id, self.timeline.now()) else {
                // Another check shows that the node may have forgotten it.
                match self.history.end_of(&id) {
                    Some("succeeded") => self.ends.succeeded += 1,
                    Some("failed") => self.ends.failed += 1,
                    Some("cancelled") => self.ends.cancelled += 1,
                    Some("expired") => self.ends.expired += 1,
                    // It ended and was forgotten while its owner was down.
                    _ => self.ends.untold += 1,
                }
                continue;
            };
            match view.state {
                TaskState::Succeeded => self.ends.succeeded += 1,
                TaskState::Failed => self.ends.failed += 1,
                TaskState::Cancelled => self.ends.cancelled += 1,
                TaskState::Expired => self.ends.expired += 1,
                TaskState::Queued | TaskState::Assigned { .. } | TaskState::Running { .. } => {
                    let details = format!("{id} is {} at rest", view.state);
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
            }
            if let Some(end) = &view.end {
                self.check_end(id, end)?;
            }
        }
        Ok(())
    }
}
