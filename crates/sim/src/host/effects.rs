//! Carries out the effects of engines.

use meshwork_core::{
    PeerId, TaskId, TaskState, ToOwner, ToWorker,
    engine::{ArchivedTask, Effect, Input, Record, Seq, Volume},
};

use super::Host;
use crate::{
    crash::{CrashPoint, Moment, committed, sent_by_owner, sent_by_worker},
    event::{Event, Packet},
    faults::FaultKind,
    report::Step,
};

const A4: &[CrashPoint] = &[CrashPoint::A4];
const B5: &[CrashPoint] = &[CrashPoint::B5];

impl Host<'_> {
    pub(super) fn carry_out(&mut self, node: usize, effects: Vec<Effect>) -> Step {
        for effect in effects {
            if !self.nodes.is_up(node) {
                // The node died at one of the effects.
                return Ok(());
            }
            match effect {
                Effect::Persist { seq, records } => self.persist(node, seq, records)?,
                Effect::Archive { volume, tasks } => self.write_volume(node, *volume, tasks),
                Effect::OpenSession { peer } => {
                    if let Some(worker) = self.nodes.index(&peer) {
                        self.open_session(node, worker);
                    }
                }
                Effect::ToWorker { peer, frames } => self.send_to_worker(node, &peer, frames)?,
                Effect::ToOwner { peer, frames } => self.send_to_owner(node, &peer, frames),
                Effect::Execute { run, owner, work } => {
                    let owner = self.nodes.index(&owner);
                    if let Some(owner) = owner.filter(|_| !self.dies(node, B5, Moment::Before)) {
                        self.execute(node, run.0, owner, *work)?;
                        self.dies(node, B5, Moment::After);
                    }
                }
                Effect::Stop { run } => self.stop_execution(node, run.0),
                Effect::Reply { token, reply } => self.reply(node, token, reply)?,
                Effect::TaskChanged { id, state, .. } => self.on_state(node, id, &state)?,
                Effect::Fetch { blob, from } => self.fetcher().fetch(node, blob, &from)?,
                Effect::PauseFetch { hash } => self.fetcher().pause_fetch(node, &hash),
                Effect::StopFetch { hash } => self.fetcher().stop_fetch(node, &hash),
                Effect::RemoveBlobs { blobs } => self.stores().remove_blobs(node, &blobs)?,
                Effect::DropRemains | Effect::Message(_) | Effect::TaskProgress { .. } => {}
            }
        }
        Ok(())
    }

    /// An owner reports the state of a task.
    fn on_state(&mut self, index: usize, id: TaskId, state: &TaskState) -> Step {
        let chosen = matches!(state, TaskState::Assigned { .. });
        if chosen {
            self.checks().placed(index, id)?;
        }
        if chosen && self.dies(index, A4, Moment::Before) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} {} is {state}", id.short()));
        if state.is_terminal() {
            self.checks().reported(index, &id, true, "report")?;
            self.checks().has_bytes(index, id)?;
            self.callers.on_ended(id, self.timeline.now());
        }
        self.history.on_state(id, state)?;
        if state.is_terminal()
            && let Some(process) = self.nodes.process_mut(index)
        {
            process.task_ended(&id);
        }
        if chosen {
            self.dies(index, A4, Moment::After);
        }
        Ok(())
    }

    // === Disk ===

    fn persist(&mut self, index: usize, seq: Seq, records: Vec<Record>) -> Step {
        self.check_records(index, &records)?;
        if let Some(node) = self.nodes.get_mut(index) {
            node.disk.push(seq, records);
        }
        self.start_fsync(index);
        Ok(())
    }

    /// Checks records that a node is about to write to its journal, and notes what they say.
    pub(crate) fn check_records(&mut self, index: usize, records: &[Record]) -> Step {
        for record in records {
            self.checks().record(index, record)?;
            let disk = self.nodes.get(index).map(|node| &node.disk);
            self.history.on_record(record, |number| {
                let task = disk.and_then(|disk| disk.archived(number));
                task.map(|task| task.task.task.id)
            });
            if let Record::GroupForgotten { id } = record {
                self.timeline.log(format_args!("n{index} forgets group {}", id.short()));
            }
        }
        Ok(())
    }

    fn start_fsync(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        if !node.disk.start() {
            return;
        }
        let takes = if node.is_disk_slow(self.timeline.now()) {
            self.rngs.disks.millis(200, 4_000)
        } else {
            self.rngs.disks.up_to(self.scenario.fsync)
        };
        let boot = node.boot();
        self.timeline.plan_in(takes, Event::Fsynced { node: index, boot });
    }

    pub(crate) fn on_fsynced(&mut self, index: usize, boot: u32) -> Step {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.is_in_boot(boot)) else {
            return Ok(());
        };
        if node.disk.take_failure() && !self.injector.have_faults_ended() {
            let what = format_args!("n{index}");
            self.injector.count(&mut self.timeline, FaultKind::FailedDisk, what);
            // A failed fsync may have reached the medium or not.
            let reached = self.rngs.disks.chance(500);
            self.go_down(index, reached, false);
            return Ok(());
        }
        let clock = node.clock(self.timeline.now());
        let is_watched = self.injector.watches_points();
        let points = if is_watched { committed(node.disk.in_flight()) } else { Vec::new() };
        if self.dies(index, &points, Moment::Before) {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let Some(seq) = node.disk.finish(clock) else { return Ok(()) };
        if self.dies(index, &points, Moment::After) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} fsynced {}", seq.0));
        self.start_fsync(index);
        self.feed(index, Input::Persisted { seq })?;
        self.settle(index)
    }

    fn write_volume(&mut self, index: usize, volume: Volume, tasks: Vec<ArchivedTask>) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        let (first, boot) = (volume.first, node.boot());
        node.disk.write(volume, tasks);
        let takes = self.rngs.disks.millis(0, 2_000);
        self.timeline.plan_in(takes, Event::Archived { node: index, boot, first });
    }

    pub(crate) fn on_archived(&mut self, index: usize, boot: u32, first: u64) -> Step {
        if !self.nodes.is_in_boot(index, boot) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} has archived from {first} on"));
        self.feed(index, Input::Archived { first })?;
        self.settle(index)
    }

    // === Frames ===

    fn send_to_worker(&mut self, owner: usize, peer: &PeerId, frames: Vec<ToWorker>) -> Step {
        let Some(worker) = self.nodes.index(peer) else { return Ok(()) };
        for frame in &frames {
            if let ToWorker::Ack(epoch) = frame {
                self.checks().acknowledged(owner, worker, *epoch)?;
            }
        }
        // The end of a closed session is reported separately.
        let process = self.nodes.process(owner);
        let session = process.and_then(|process| process.sessions.to_worker(worker));
        let Some(session) = session else { return Ok(()) };
        self.checks().trust(owner, worker, &frames)?;
        self.give_inputs(owner, worker, &frames)?;
        if frames.iter().any(|frame| matches!(frame, ToWorker::Assign(_))) {
            self.probes.expect(owner, worker);
        }
        let is_watched = self.injector.watches_points();
        let points = if is_watched { sent_by_owner(&frames) } else { Vec::new() };
        if self.dies(owner, &points, Moment::Before) {
            return Ok(());
        }
        let pair = (owner, worker);
        let frames = self.injector.repeat_assignments(&mut self.timeline, pair, session, frames);
        let packet = Packet::ToWorker { session, frames };
        self.wires.send(&mut self.timeline, owner, worker, packet);
        self.dies(owner, &points, Moment::After);
        Ok(())
    }

    /// From now on the worker may fetch the inputs of these assignments.
    fn give_inputs(&mut self, owner: usize, worker: usize, frames: &[ToWorker]) -> Step {
        for frame in frames {
            let ToWorker::Assign(work) = frame else { continue };
            if let Some(blob) = work.input.blob() {
                self.checks().speaks(owner, worker, work.task)?;
                self.blobs.give(owner, worker, blob.hash);
            }
        }
        Ok(())
    }

    fn send_to_owner(&mut self, worker: usize, peer: &PeerId, frames: Vec<ToOwner>) {
        let Some(owner) = self.nodes.index(peer) else { return };
        let process = self.nodes.process(worker);
        let session = process.and_then(|process| process.sessions.to_owner(owner));
        let Some(session) = session else { return };
        let is_watched = self.injector.watches_points();
        let points = if is_watched { sent_by_worker(&frames) } else { Vec::new() };
        if self.dies(worker, &points, Moment::Before) {
            return;
        }
        let frames = self.injector.tamper(&mut self.timeline, &self.nodes, worker, frames);
        let has_result = frames.iter().any(|frame| matches!(frame, ToOwner::Result { .. }));
        let packet = Packet::ToOwner { session, frames };
        self.wires.send(&mut self.timeline, worker, owner, packet);
        if has_result {
            self.injector.vanish(&mut self.timeline, &mut self.nodes, worker);
        }
        self.dies(worker, &points, Moment::After);
    }
}
