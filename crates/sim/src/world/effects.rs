//! Carries out the effects of engines.

use meshwork_core::{
    FailureCode, PeerId, TaskEnd, TaskId, TaskState, Time, ToOwner, ToWorker,
    engine::{ArchivedTask, Effect, Input, Record, Reply, Seq, Token, Volume},
};

use super::World;
use crate::{
    CrashPoint, FaultKind, Invariant, Moment,
    crash::{committed, sent_by_owner, sent_by_worker},
    event::{Event, Packet},
    report::{Broken, Step},
};

const A3: &[CrashPoint] = &[CrashPoint::A3];
const A4: &[CrashPoint] = &[CrashPoint::A4];
const A12: &[CrashPoint] = &[CrashPoint::A12];
const B5: &[CrashPoint] = &[CrashPoint::B5];

impl World<'_> {
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
                Effect::Stop { run } => self.stop(node, run.0),
                Effect::Reply { token, reply } => self.reply(node, token, reply)?,
                Effect::TaskChanged { id, state, .. } => self.task_changed(node, id, &state)?,
                Effect::Message(_) | Effect::TaskProgress { .. } => {}
            }
        }
        Ok(())
    }

    fn task_changed(&mut self, index: usize, id: TaskId, state: &TaskState) -> Step {
        let chosen = matches!(state, TaskState::Assigned { .. });
        if chosen {
            self.check_placed(index, id)?;
        }
        if chosen && self.dies(index, A4, Moment::Before) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} {} is {state}", id.short()));
        if state.is_terminal() {
            self.check_safe(index, &id, true, "told")?;
            self.history.over(id, self.timeline.now());
        }
        self.history.seen(id, state)?;
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

    fn persist(&mut self, index: usize, seq: Seq, records: Vec<Record>) -> Step {
        for record in &records {
            self.check_record(index, record)?;
        }
        if let Some(node) = self.nodes.get_mut(index) {
            node.disk.push(seq, records);
        }
        self.start_fsync(index);
        Ok(())
    }

    /// Writes a batch at once, on an idle disk.
    pub(crate) fn persist_at_once(
        &mut self,
        index: usize,
        seq: Seq,
        records: Vec<Record>,
        clock: Time,
    ) -> Step {
        for record in &records {
            self.check_record(index, record)?;
        }
        if let Some(node) = self.nodes.get_mut(index) {
            node.disk.push(seq, records);
            node.disk.start();
            node.disk.finish(clock);
        }
        Ok(())
    }

    fn write_volume(&mut self, index: usize, volume: Volume, tasks: Vec<ArchivedTask>) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        let (first, boot) = (volume.first, node.boot());
        node.disk.write(volume, tasks);
        let takes = self.rngs.disks.millis(0, 2_000);
        self.timeline.plan_in(takes, Event::Archived { node: index, boot, first });
    }

    pub(super) fn on_archived(&mut self, index: usize, boot: u32, first: u64) -> Step {
        if !self.nodes.is_in_boot(index, boot) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} has archived from {first} on"));
        self.feed(index, Input::Archived { first })?;
        self.settle(index)
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

    pub(super) fn on_fsynced(&mut self, index: usize, boot: u32) -> Step {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.is_in_boot(boot)) else {
            return Ok(());
        };
        if node.disk.take_failure() && !self.calm {
            self.count(FaultKind::FailedDisk, format_args!("n{index}"));
            // A failed fsync may have reached the medium or not.
            let reached = self.rngs.disks.chance(500);
            self.go_down(index, reached, false);
            return Ok(());
        }
        let clock = node.clock(self.timeline.now());
        let flying = committed(node.disk.flying());
        let points = if self.watches_points() { flying } else { Vec::new() };
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

    fn send_to_worker(&mut self, owner: usize, peer: &PeerId, frames: Vec<ToWorker>) -> Step {
        let Some(worker) = self.nodes.index(peer) else { return Ok(()) };
        for frame in &frames {
            if let ToWorker::Ack(epoch) = frame {
                self.check_acknowledged(owner, worker, *epoch)?;
            }
        }
        // The end of a closed session is reported separately.
        let process = self.nodes.process(owner);
        let session = process.and_then(|process| process.sessions.to_worker(worker));
        let Some(session) = session else { return Ok(()) };
        self.check_trust(owner, worker, &frames)?;
        if frames.iter().any(|frame| matches!(frame, ToWorker::Assign(_))) {
            self.believed.entry((owner, worker)).or_default();
        }
        let points = if self.watches_points() { sent_by_owner(&frames) } else { Vec::new() };
        if self.dies(owner, &points, Moment::Before) {
            return Ok(());
        }
        let frames = self.repeat_assignments(owner, worker, session, frames);
        self.wires.send(&mut self.timeline, owner, worker, Packet::ToWorker { session, frames });
        self.dies(owner, &points, Moment::After);
        Ok(())
    }

    fn send_to_owner(&mut self, worker: usize, peer: &PeerId, frames: Vec<ToOwner>) {
        let Some(owner) = self.nodes.index(peer) else { return };
        let process = self.nodes.process(worker);
        let session = process.and_then(|process| process.sessions.to_owner(owner));
        let Some(session) = session else { return };
        let points = if self.watches_points() { sent_by_worker(&frames) } else { Vec::new() };
        if self.dies(worker, &points, Moment::Before) {
            return;
        }
        let frames = self.tamper(worker, frames);
        let has_result = frames.iter().any(|frame| matches!(frame, ToOwner::Result { .. }));
        self.wires.send(&mut self.timeline, worker, owner, Packet::ToOwner { session, frames });
        if has_result {
            self.vanish(worker);
        }
        self.dies(worker, &points, Moment::After);
    }

    fn reply(&mut self, index: usize, token: Token, reply: Reply) -> Step {
        let Some(call) = self.history.calls.get(token.0 as usize) else { return Ok(()) };
        let boot = call.boot;
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        if node.boot() != boot {
            let details = format!("call {} of boot {boot} is answered by a later boot", token.0);
            return Err(Broken::new(Invariant::NoFalseBlame, details));
        }
        let point = match &reply {
            Reply::Accepted { .. } => A3,
            Reply::Ended { .. } | Reply::Archived { .. } => A12,
            Reply::GroupAccepted { .. } | Reply::GroupCancelled { .. } | Reply::Refused(_) => &[],
        };
        if self.dies(index, point, Moment::Before) {
            return Ok(());
        }
        self.told(index, token, reply)?;
        self.dies(index, point, Moment::After);
        Ok(())
    }

    fn told(&mut self, index: usize, token: Token, reply: Reply) -> Step {
        let Some(call) = self.history.calls.get(token.0 as usize) else { return Ok(()) };
        let (submits, job, members, cancels) = (call.submits, call.job, call.members, call.cancels);
        match reply {
            Reply::Accepted { id } => {
                self.check_safe(index, &id, false, "answer")?;
                let Some(process) = self.nodes.process_mut(index) else { return Ok(()) };
                if !self.history.has_ended(&id) {
                    process.task_accepted(id);
                }
                self.timeline.log(format_args!(
                    "n{index} accepts {} for call {}",
                    id.short(),
                    token.0
                ));
                self.history.accepted(token.0, id)
            }
            Reply::GroupAccepted { .. } => match members {
                Some((group, end)) => self.group_accepted(group, end),
                None => Ok(()),
            },
            Reply::GroupCancelled { .. } => {
                cancels.map_or(Ok(()), |group| self.group_cancelled(group))
            }
            Reply::Refused(reason) if cancels.is_some() => {
                cancels.map_or(Ok(()), |group| self.group_not_cancelled(group, &reason))
            }
            Reply::Refused(reason) if members.is_some() => {
                members.map_or(Ok(()), |(group, _)| self.group_refused(group, reason))
            }
            Reply::Refused(reason) => self.refused(index, job, submits, reason),
            Reply::Archived { id, number } => {
                let node = self.nodes.get(index);
                let read = node.and_then(|node| node.disk.archived(number)?.clone().end());
                let Some(end) = read else {
                    // The task may have been forgotten since.
                    return if self.may_forget(index, &id) {
                        Ok(())
                    } else {
                        let details = format!("n{index} cannot read {id} from its archive");
                        Err(Broken::new(Invariant::AnsweredIsKnown, details))
                    };
                };
                self.told(index, token, Reply::Ended { id, end })
            }
            Reply::Ended { id, end } => {
                if let Some(process) = self.nodes.process_mut(index) {
                    process.note_read(id);
                }
                let state = end.state();
                self.timeline.log(format_args!(
                    "n{index} tells call {}: {} {state}",
                    token.0,
                    id.short()
                ));
                self.check_safe(index, &id, true, "told")?;
                self.check_end(id, &end)?;
                self.history.told(token.0, id, end)
            }
        }
    }

    /// Whether a target of this task may have refused it, because it distrusted the owner.
    fn may_refuse(&self, id: TaskId, worker: Option<&PeerId>) -> bool {
        if self.policies.nodes.is_some() || self.policies.tasks.is_some() {
            // The user's policies decide about refusals.
            return true;
        }
        let job = self.history.job_of(id).and_then(|job| self.history.jobs.get(job));
        let worker = worker.and_then(|worker| self.nodes.index(worker));
        job.zip(worker).is_some_and(|(job, worker)| {
            !job.targets.is_empty() && self.distrusted.contains(&(worker, job.owner))
        })
    }

    /// Checks that an end has a cause. A result was produced, unless its worker lies. No task fails
    /// by refusal unless all its targets distrust the owner, because all nodes have all handlers.
    pub(crate) fn check_end(&self, id: TaskId, end: &TaskEnd) -> Step {
        let result = match end {
            TaskEnd::Succeeded(result) => result,
            TaskEnd::Failed(failure) => {
                let code = failure.code;
                let refused = matches!(code, FailureCode::Refused | FailureCode::UnknownHandler);
                return if refused && !self.may_refuse(id, failure.worker.as_deref()) {
                    Err(Broken::new(Invariant::NoFalseBlame, format!("{id}: {failure}")))
                } else {
                    Ok(())
                };
            }
            TaskEnd::Cancelled { .. } => return self.check_member_end(id, end),
            TaskEnd::Expired { .. } => return Ok(()),
        };
        let worker = self.nodes.index(&result.worker);
        let honest =
            worker.and_then(|worker| self.nodes.get(worker)).is_none_or(|node| node.is_honest());
        let produced = worker.is_some_and(|worker| {
            self.history.has_produced(id, worker, result.attempt, &result.output)
        });
        if produced || !honest {
            return Ok(());
        }
        let details = format!(
            "{id} has a result of attempt {} by {worker:?} that no execution produced",
            result.attempt
        );
        Err(Broken::new(Invariant::ResultWasProduced, details))
    }
}
