//! Where a waiting task goes: first a filter by requirements and trust, then the choice of the
//! worker that will finish it first, among at most a few drawn at random (power of d choices,
//! Mitzenmacher, 2001).

use std::{cmp::Reverse, sync::Arc};

use libp2p_identity::PeerId;

use super::{
    Cx, Effect, Engine,
    hedge::{Open, Sent},
    kinds::Kind,
    lanes::Rank,
    owner::change,
    peers::{Measured, OpenAttempt, Peer, PeerKey, Recall, SessionState},
    queue::{GroupKey, Needs},
    tasks::{Phase, TaskKey},
    view::Obstacle,
};
use crate::{
    advert::size,
    frame::{Assignment, Epoch, ToWorker},
    limits,
    task::{HandlerName, Requirements, TaskState},
    time::Time,
};

/// The peers that may run the tasks of a group.
type Eligible = Arc<[PeerKey]>;

impl Engine {
    /// Sends what waits to where it can go. Looks at a bounded number of groups; the rest have
    /// their turn in the passes that follow.
    pub(super) fn place_waiting(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.place) {
            self.unplaced = if self.closing { 0 } else { self.queue.active_len() };
            self.unhedged = if self.closing { 0 } else { self.overdue.len() };
        }
        if self.unplaced == 0 {
            return self.place_overdue(cx);
        }
        let looked_at = self.unplaced.min(limits::PLACEMENT_GROUPS);
        self.unplaced -= looked_at;
        let mut groups = std::mem::take(&mut self.turns);
        let heads = (0..looked_at).filter_map(|at| Some((at, self.queue.active(at)?)));
        groups.extend(heads.map(|(at, (group, rank))| Reverse((rank, at, group))));
        let mut turns = self.queue.is_mixed(looked_at);
        let before = self.next_epoch;
        while let Some(Reverse((rank, at, group))) = groups.pop() {
            // Once in a pass that finds no room for whoever's turn it is, it finds none.
            if turns && self.queue.is_turn() {
                turns = self.place_in_turn(cx, looked_at);
            }
            // A group whose next task is less urgent stands back behind the others.
            if let Some(next) = self.place_group(cx, group, rank, turns) {
                groups.push(Reverse((next, at, group)));
            }
        }
        self.turns = groups;
        self.queue.rotate(looked_at);
        // Of what waits in further lines some may go, but those would hardly be the first.
        if self.unplaced == 0 || self.next_epoch == before {
            self.place_overdue(cx);
        }
    }

    /// Sends one task of the lines that have their turn, of whatever priority. False if there are some,
    /// and room for none.
    fn place_in_turn(&mut self, cx: &mut Cx<'_>, looked_at: usize) -> bool {
        let lines = self.queue.in_turn(looked_at);
        let none = lines.is_empty();
        for (key, rank) in lines {
            let Some((kind, eligible)) = self.eligible_for(cx, key) else { continue };
            if let Some(task) = self.next_waiting(key, rank)
                && let Some(peer) = self.choose(cx, &eligible, kind, task)
            {
                self.queue.take(key, rank, true);
                self.assign(cx, task, peer);
                return true;
            }
        }
        none
    }

    /// Sends what waits in a line of a group. The line that comes next, if it is worth looking at.
    /// `turns`: stops for another line whose turn it is.
    fn place_group(
        &mut self,
        cx: &mut Cx<'_>,
        key: GroupKey,
        rank: Rank,
        turns: bool,
    ) -> Option<Rank> {
        let (kind, eligible) = self.eligible_for(cx, key)?;
        while self.queue.head(key) == Some(rank) {
            if turns && self.queue.is_turn() {
                return Some(rank);
            }
            let Some(task) = self.next_waiting(key, rank) else { continue };
            let peer = self.choose(cx, &eligible, kind, task)?;
            self.queue.take(key, rank, false);
            self.assign(cx, task, peer);
        }
        self.queue.head(key).filter(|next| *next > rank)
    }

    /// What runs the tasks of a group, and the peers that may.
    pub(super) fn eligible_for(
        &mut self,
        cx: &mut Cx<'_>,
        key: GroupKey,
    ) -> Option<(Kind, Eligible)> {
        let group = self.queue.group(key)?;
        let kind = group.needs.kind;
        if group.version == self.peers.version {
            return Some((kind, Arc::clone(&group.eligible)));
        }
        let needs = Arc::clone(&group.needs);
        let eligible = self.eligible(&needs);
        for peer in &*eligible {
            self.open_session(cx, *peer);
        }
        if let Some(group) = self.queue.group_mut(key) {
            group.version = self.peers.version;
            group.eligible = Arc::clone(&eligible);
        }
        Some((kind, eligible))
    }

    /// The task that is next in a line. None, and the line is gone, if none waits there any more that
    /// may start: members of a group that takes no more leave it, and are still to be cancelled.
    fn next_waiting(&mut self, key: GroupKey, rank: Rank) -> Option<TaskKey> {
        let (tasks, groups) = (&self.tasks, &self.groups);
        self.queue.front(key, rank, |task| {
            tasks.get(task).is_some_and(|task| {
                matches!(task.phase, Phase::Queued { .. }) && !groups.stops(task)
            })
        })
    }

    /// The peers that may run tasks with these needs, whether they have room now or not.
    fn eligible(&mut self, needs: &Needs) -> Arc<[PeerKey]> {
        if needs.targets.is_empty() {
            let offering = self.offering(needs.kind);
            let Some(requirements) = &needs.requirements else { return offering };
            let meets = |key: &&PeerKey| {
                self.peers.get(**key).is_some_and(|peer| unmet(peer, requirements).is_none())
            };
            return offering.iter().filter(meets).copied().collect();
        }
        let Some(name) = self.kinds.name(needs.kind) else { return Arc::default() };
        let may = |key: &PeerKey| {
            self.peers.get(*key).is_some_and(|peer| filter(peer, needs, name).is_none())
        };
        needs.targets.iter().filter_map(|peer| self.peers.key(peer)).filter(may).collect()
    }

    /// The peers that offer this handler to tasks that name no target.
    fn offering(&mut self, kind: Kind) -> Arc<[PeerKey]> {
        let version = self.peers.offers_version;
        if let Some((_, offering)) = self.offering.get(&kind).filter(|(at, _)| *at == version) {
            return Arc::clone(offering);
        }
        let Some(name) = self.kinds.name(kind) else { return Arc::default() };
        let needs = Needs { kind, targets: Box::default(), asks: false, requirements: None };
        let offers = |(key, peer)| filter(peer, &needs, name).is_none().then_some(key);
        let offering: Arc<[PeerKey]> = self.peers.iter().filter_map(offers).collect();
        self.offering.insert(kind, (version, Arc::clone(&offering)));
        offering
    }

    /// The worker that will finish this task first, of those that have room.
    pub(super) fn choose(
        &self,
        cx: &mut Cx<'_>,
        eligible: &[PeerKey],
        kind: Kind,
        task_key: TaskKey,
    ) -> Option<PeerKey> {
        let task = self.tasks.get(task_key)?;
        let bytes = task.input_bytes as u64;
        let usable = |key: &PeerKey| {
            let peer = self.peers.get(*key)?;
            let refused = task.refused().iter().any(|refusal| refusal.is_by(peer));
            (!refused && room(peer, kind, bytes, cx.now)).then(|| (cost(peer, kind), *key))
        };
        let best = if eligible.len() <= limits::PLACEMENT_CHOICES {
            eligible.iter().filter_map(usable).min()
        } else {
            let drawn: Vec<PeerKey> = (0..limits::PLACEMENT_CHOICES)
                .filter_map(|_| eligible.get(cx.rng.next_u32() as usize % eligible.len()).copied())
                .collect();
            let best = drawn.iter().filter_map(usable).min();
            best.or_else(|| eligible.iter().filter_map(usable).next())
        };
        best.map(|(_, key)| key)
    }

    /// Sends a task to a worker: one that waits, or one that needs a second attempt.
    pub(super) fn assign(&mut self, cx: &mut Cx<'_>, task_key: TaskKey, key: PeerKey) {
        let epoch = Epoch { boot: self.config.boot, number: self.next_epoch };
        let Some(task) = self.tasks.get(task_key) else { return };
        let Some(handler) = self.kinds.name(task.kind).cloned() else { return };
        let hedge = task.retry().hedge;
        let look = if hedge { self.next_look(task.kind, cx.now, cx.now) } else { Time::NEVER };
        let Some(task) = self.tasks.get_mut(task_key) else { return };
        let Some(peer) = self.peers.get_mut(key) else { return };
        self.next_epoch += 1;
        task.attempts += 1;
        let number = task.attempts;
        let sent = Sent { peer: key, epoch, at: cx.now, number, accepted: false };
        let is_first = !matches!(task.phase, Phase::Open(_));
        if let Phase::Open(open) = &mut task.phase {
            open.add(sent);
            self.counts.second_attempts += 1;
        } else {
            self.tasks.set_phase(task_key, Phase::Open(Open::new(sent, look)));
        }
        let Some(task) = self.tasks.get(task_key) else { return };
        let assignment = Assignment {
            epoch,
            task: task.id,
            attempt: number,
            handler,
            input: task.input.clone(),
            params: task.params.clone(),
            limit: task.limits().attempt,
            priority: task.priority,
            durable: task.durable,
        };
        let attempt = OpenAttempt {
            task: Some(task_key),
            kind: task.kind,
            bytes: task.input_bytes as u64,
            time: peer.worker.service(task.kind).unwrap_or(0),
            recall: Recall::Not,
        };
        if peer.worker.open.is_empty() {
            peer.worker.heard = peer.worker.heard.max(cx.now);
        }
        peer.worker.open_attempt(epoch, attempt);
        if peer.worker.waiting() > 0 && !std::mem::replace(&mut peer.worker.is_ahead, true) {
            self.ahead.workers.push_back(key);
        }
        if self.observed.tasks && is_first {
            let state = TaskState::Assigned { peer: *peer.id, epoch };
            cx.out.extend(change(&self.kinds, task, state, None));
        }
        self.peers.tell_worker(key, ToWorker::Assign(Box::new(assignment)));
        self.arm_lease(key);
        if hedge || self.tasks.get(task_key).is_some_and(|task| task.limits().attempt.is_some()) {
            self.arm_task(task_key);
        }
    }

    pub(super) fn open_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.worker.session == SessionState::None && peer.worker.session_after <= cx.now {
            peer.worker.session = SessionState::Opening;
            cx.out.push(Effect::OpenSession { peer: *peer.id });
        }
    }

    /// The first condition that keeps a task from a peer.
    #[expect(clippy::too_many_arguments, reason = "what a decision about one peer rests on")]
    pub(super) fn obstacle(
        &self,
        key: PeerKey,
        peer: &Peer,
        needs: &Needs,
        bytes: u64,
        now: Time,
    ) -> Obstacle {
        let Some(name) = self.kinds.name(needs.kind) else { return Obstacle::NotReady };
        match filter(peer, needs, name) {
            Some(Obstacle::NotOffered { handler } | Obstacle::NoHandlerThere { handler })
                if key == PeerKey::LOCAL =>
            {
                return Obstacle::NoHandlerHere { handler };
            }
            Some(obstacle) => return obstacle,
            None => {}
        }
        if peer.worker.busy_until > now {
            let rest = peer.worker.busy_until.since(now);
            let retry_after_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            return Obstacle::Busy { retry_after_ms };
        }
        if peer.worker.session != SessionState::Open {
            return Obstacle::NoSession;
        }
        // It has granted bytes, and no task to go with them.
        if peer.worker.credit.tasks == 0 && peer.worker.credit.bytes > 0 {
            return Obstacle::Draining;
        }
        if !peer.worker.has_credit(needs.kind, bytes) {
            let assigned = u32::try_from(peer.worker.open.len()).unwrap_or(u32::MAX);
            return Obstacle::NoCredit { assigned };
        }
        if self.closing { Obstacle::Stopping } else { Obstacle::None }
    }
}

/// The first lasting condition that keeps tasks with these needs from a peer, if there is one.
fn filter(peer: &Peer, needs: &Needs, name: &HandlerName) -> Option<Obstacle> {
    let targeted = is_target(needs, &peer.id);
    if !needs.targets.is_empty() && !targeted {
        return Some(Obstacle::NotTarget);
    }
    if !targeted && !peer.trusted {
        return Some(Obstacle::NotTrusted);
    }
    let Some(advert) = &peer.advert else { return Some(Obstacle::NotReady) };
    if peer.worker.silent {
        return Some(Obstacle::NotReady);
    }
    let has = advert.handlers.contains(name);
    let worker = &peer.worker;
    let refuses = if targeted { &worker.refuses_named } else { &worker.refuses };
    if !needs.asks && (!has || refuses.contains(&needs.kind)) {
        let handler = name.clone();
        let family = advert.handlers.iter().any(|other| other.family() == name.family());
        return Some(if family && !has {
            Obstacle::NoHandlerThere { handler }
        } else {
            Obstacle::NotOffered { handler }
        });
    }
    if advert.capacity.slots == 0 {
        return Some(Obstacle::Requirement { what: "slots", detail: "none".to_owned() });
    }
    unmet(peer, needs.requirements.as_deref()?)
}

/// The first of a task's requirements that the peer does not meet, if there is one.
fn unmet(peer: &Peer, requirements: &Requirements) -> Option<Obstacle> {
    if let Some((what, detail)) = peer.advert.as_ref()?.unmet(requirements) {
        return Some(Obstacle::Requirement { what, detail });
    }
    // It has the memory; whether the memory is free, it may have said.
    let free = peer.measured.free_memory.filter(|free| *free < requirements.memory_bytes)?;
    let [free, needed] = [free, requirements.memory_bytes].map(size);
    let detail = format!("{free} free of the {needed} needed");
    Some(Obstacle::Requirement { what: "memory", detail })
}

fn is_target(needs: &Needs, peer: &PeerId) -> bool {
    needs.targets.contains(peer)
}

/// Whether the peer can be sent one more attempt right now.
fn room(peer: &Peer, kind: Kind, bytes: u64, now: Time) -> bool {
    peer.worker.session == SessionState::Open
        && peer.worker.busy_until <= now
        && peer.worker.has_credit(kind, bytes)
}

/// When one more attempt would be finished there, and what lies before it, for comparison.
fn cost(peer: &Peer, kind: Kind) -> (u64, usize) {
    let slots = u64::from(peer.worker.credit.slots.max(1));
    let each = peer.worker.service(kind).unwrap_or(0);
    let open = peer.worker.open.len();
    let work = (peer.worker.open_time + each) / slots;
    let Measured { latency, pace, .. } = peer.measured;
    (latency + work.saturating_mul(1_000) / pace, open)
}
