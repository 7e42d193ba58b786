//! Snapshots of groups: the list, why members wait, and whether more are expected.

use super::*;
use crate::engine::view::{GroupExplanation, GroupQuery, GroupState, Obstacle};

impl Net {
    fn listed(&self, states: &[GroupState], limit: usize) -> Vec<GroupId> {
        self.listed_after(states, limit, None)
    }

    fn listed_after(
        &self,
        states: &[GroupState],
        limit: usize,
        after: Option<GroupId>,
    ) -> Vec<GroupId> {
        let states = states.iter().map(|state| state.as_str().to_owned()).collect();
        let after = after.map(|id| (self.group(id).submitted, id));
        let query = GroupQuery { states, after, limit };
        self.nodes[0].engine.read(self.now).groups(&query).into_iter().map(|view| view.id).collect()
    }

    pub(super) fn explained(&self, id: GroupId) -> GroupExplanation {
        let explained = self.nodes[0].engine.read(self.now).explain_group(id).unwrap();
        let listed: u32 = explained.waiting.iter().map(|waiting| waiting.members).sum();
        assert_eq!(listed + explained.others, explained.view.queued, "each member counts once");
        explained
    }
}

#[test]
fn groups_are_listed_in_pages_newest_first() {
    let mut net = Net::connected(&[1]);
    let ids: Vec<GroupId> = (0..7)
        .map(|number| {
            net.pass(Duration::from_secs(number / 2));
            net.accepts(members(GroupId::new(), 0..2, number != 6, None))
        })
        .collect();
    let all = net.listed(&[], 100);
    assert_eq!(all.len(), 7);
    let times: Vec<Time> = all.iter().map(|id| net.group(*id).submitted).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    let mut paged = net.listed(&[], 3);
    while let Some(last) = paged.last().copied().filter(|_| paged.len() < 7) {
        paged.extend(net.listed_after(&[], 3, Some(last)));
    }
    assert_eq!(paged, all);
    assert!(net.listed_after(&[], 3, all.last().copied()).is_empty());
    assert_eq!(net.listed(&[GroupState::Open], 9), [ids[6]]);
    net.cancel_group(ids[3]);
    assert_eq!(net.listed(&[GroupState::Cancelled], 9), [ids[3]]);
    assert_eq!(net.listed(&[GroupState::Running, GroupState::Open], 9).len(), 6);
}

#[test]
fn listed_groups_equal_single_views() {
    let mut net = Net::connected(&[2, 3]);
    for size in [1, 4, 40] {
        net.accepts(members(GroupId::new(), 0..size, true, None));
    }
    net.finish(1, output("x"));
    let query = GroupQuery { limit: 9, ..GroupQuery::default() };
    let listed = net.nodes[0].engine.read(net.now).groups(&query);
    let seen: Vec<GroupView> = listed.iter().map(|view| net.group(view.id)).collect();
    assert_eq!(listed, seen);
    assert!(listed.iter().map(|view| view.workers).max() >= Some(2), "{listed:?}");
}

#[test]
fn waiting_members_are_explained_by_their_needs() {
    let mut net = Net::connected(&[1]);
    let mut tasks = members(GroupId::new(), 0..60, true, None);
    for task in tasks.iter_mut().skip(40) {
        task.requirements.gpus = 1;
    }
    let id = net.accepts(tasks);
    let GroupExplanation { view, waiting, others, failures } = net.explained(id);
    assert_eq!((waiting.len(), others, failures.len()), (2, 0, 0));
    assert_eq!((waiting[0].members + view.running, waiting[1].members), (40, 20));
    assert!(view.running > 0);
    assert_eq!((waiting[0].why.code, waiting[1].why.code), ("busy", "no_eligible_peer"));
    let worker = net.nodes[1].id;
    let obstacle = |at: usize| waiting[at].why.peers.iter().find(|(peer, _)| *peer == worker);
    assert!(matches!(obstacle(0), Some((_, Obstacle::NoCredit { .. }))), "{:?}", obstacle(0));
    assert!(matches!(obstacle(1), Some((_, Obstacle::Requirement { .. }))), "{:?}", obstacle(1));
    net.cancel_group(id);
    assert!(net.explained(id).waiting.is_empty());
}

#[test]
fn resting_members_do_not_wait_for_a_busy_worker() {
    let mut net = Net::connected(&[2]);
    let id = net.accepts(members(GroupId::new(), 0..2, true, None));
    for _ in 0..2 {
        net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no")));
    }
    let GroupExplanation { view, waiting, .. } = net.explained(id);
    assert_eq!((view.queued, waiting.len(), waiting[0].members), (2, 1, 2));
    let why = &waiting[0].why;
    let worker = net.nodes[1].id;
    assert!(why.peers.contains(&(worker, Obstacle::None)), "{why:?}");
    assert_eq!(why.code, "worker_free");
    assert!(why.message.contains("rests before its next attempt"), "{}", why.message);
    let member = net.nodes[0].engine.read(net.now).task(id.member(0)).unwrap();
    assert_eq!(member.waiting.unwrap().code, "backing_off");
}

#[test]
fn needs_beyond_the_limit_are_summed() {
    let mut net = Net::new(&[]);
    let mut tasks = members(GroupId::new(), 0..60, true, None);
    for (number, task) in (0..).zip(&mut tasks) {
        task.requirements.cpus = number % 20;
    }
    let id = net.accepts(tasks);
    let explained = net.explained(id);
    assert_eq!((explained.waiting.len(), explained.others), (limits::GROUP_NEEDS, 12));
    net.restart(0);
    assert_eq!(net.explained(id).others, 12);
    net.pass(crate::task::TaskLimits::default().queue.unwrap());
    let explained = net.explained(id);
    assert_eq!((explained.waiting.len(), explained.others), (0, 0));
    assert_eq!(explained.view.ended.expired, 60);
}

#[test]
fn first_failures_are_shown_with_their_messages() {
    let mut net = Net::connected(&[1]);
    let other = net.accepts(members(GroupId::new(), 0..3, true, None));
    let id = net.accepts(members(GroupId::new(), 0..30, true, None));
    for number in 0..20 {
        if number % 2 == 0 {
            net.fail(1);
        } else {
            net.finish(1, output("x"));
        }
    }
    net.cancel_group(id);
    for restarted in [false, true] {
        let failures = net.explained(id).failures.into_iter();
        let failures: Vec<_> = failures.filter_map(Known::here).collect();
        assert_eq!(failures.len(), limits::GROUP_FAILURES, "{restarted}");
        let shown = |view: &TaskView| {
            let Some(TaskEnd::Failed(failure)) = &view.end else { panic!("{view:?}") };
            (view.group.unwrap(), failure.message.clone())
        };
        let places: Vec<u32> = failures.iter().map(|view| shown(view).0.1).collect();
        assert!(places.is_sorted() && failures.iter().all(|view| shown(view).0.0 == id));
        assert_eq!(shown(&failures[0]).1, "no");
        if !restarted {
            net.restart(0);
        }
    }
    assert_eq!(net.explained(other).failures.len(), 2);
}

#[test]
fn idle_group_without_last_member_becomes_unfinished() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..2, false, None));
    net.finish(1, output("x"));
    net.finish(1, output("x"));
    let nearly = limits::GROUP_IDLE - Duration::from_secs(1);
    net.pass(nearly);
    assert_eq!(net.group(id).state(), GroupState::Open);
    // An active submitter keeps the group open, even without new members or room for them.
    net.accepts(members(id, 0..2, false, None));
    net.pass(nearly);
    assert_eq!(net.group(id).state(), GroupState::Open);
    net.nodes[0].engine.node.config.max_owned = 0;
    assert!(net.refuses(members(id, 2..3, false, None)).retry_after().is_some());
    net.pass(nearly);
    assert_eq!(net.group(id).state(), GroupState::Open);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.group(id).state(), GroupState::Unfinished);
    assert!(net.group(id).is_ended() && !net.group(id).is_success());
    net.restart(0);
    assert_eq!(net.group(id).state(), GroupState::Unfinished);
    // An unfinished group accepts further members.
    net.connect(0, 1);
    net.accepts(members(id, 2..3, false, None));
    net.pass(2 * limits::GROUP_IDLE);
    assert_eq!(net.group(id).state(), GroupState::Open, "one member still runs");
    net.finish(1, output("x"));
    assert_eq!(net.group(id).state(), GroupState::Unfinished);
    net.accepts(members(id, 3..4, true, None));
    assert_eq!(net.group(id).state(), GroupState::Running);
    net.finish(1, output("x"));
    assert_eq!(net.group(id).state(), GroupState::Succeeded);
}
