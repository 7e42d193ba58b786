use meshwork_api::{ErrorView, ObstacleView, WaitingMembers, WaitingView};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn view() -> GroupView {
    GroupView {
        id: "019aa2c4-0000-7000-8000-0000008f3a21".to_owned(),
        short: "8f3a21".to_owned(),
        state: "open".into(),
        members: 1_203,
        complete: false,
        max_fails: None,
        durability: "disk".into(),
        stopped: false,
        cancel_reason: None,
        queued: 1_000,
        running: 2,
        succeeded: 200,
        failed: 1,
        cancelled: 0,
        expired: 0,
        workers: 1,
        submitted_at: at("2026-11-23T12:00:00Z"),
        handed_in_at: at("2026-11-23T12:00:30Z"),
    }
}

fn told(group: GroupView) -> String {
    let why = WaitingView {
        code: "busy".into(),
        message: "every worker that may run it is busy".to_owned(),
        next_try_at: None,
        gives_up_at: None,
        peers: vec![ObstacleView {
            peer: "12D3KooWA".to_owned(),
            name: Some("ant".to_owned()),
            code: "no_credit".into(),
            message: "no credit".to_owned(),
        }],
        sums: [("no_credit".into(), 1)].into(),
    };
    let error = ErrorView {
        code: "bad_input".into(),
        message: "not \u{1b}[2JUTF-8".to_owned(),
        exit: None,
        worker: None,
        limit: None,
        by: None,
    };
    let failure = MemberResult {
        index: 7,
        id: String::new(),
        state: "failed".into(),
        output: None,
        error: Some(error),
    };
    let story = GroupStory {
        group,
        waiting: vec![WaitingMembers { handler: "text/upper".to_owned(), members: 1_000, why }],
        waiting_others: 3,
        failures: vec![failure],
    };
    super::group(&story, at("2026-11-23T12:00:42Z"))
}

#[test]
fn a_group_tells_its_numbers_why_its_tasks_wait_and_what_failed_first() {
    let text = told(view());
    for line in [
        "8f3a21  OPEN  group of 1,203 tasks",
        "tasks     1,000 queued, 2 running, 200 succeeded, 1 failed",
        "when      submitted 42s ago, its latest tasks 12s ago",
        "waits     1,000 of text/upper: every worker that may run it is busy",
        "  ant  no  no credit",
        "waits     3 that need still other things",
        "failed first",
    ] {
        assert!(text.lines().any(|told| told == line), "{line:?} in {text}");
    }
    assert!(text.contains("  7  failed: bad_input: not "), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("stops"), "{text}");
    assert!(text.ends_with("next      meshwork wait 8f3a21, or meshwork task cancel 8f3a21\n"));
}

#[test]
fn what_stops_a_group_is_told() {
    let limited = GroupView { max_fails: Some(4), ..view() };
    let stops = |group: GroupView| {
        let text = told(group);
        text.lines().find_map(|line| line.strip_prefix("stops     ")).unwrap().to_owned()
    };
    let so_far = "when more than 4 did not succeed (--max-fails): 1 so far";
    assert_eq!(stops(limited.clone()), so_far);
    let stopped = GroupView { stopped: true, failed: 5, ..limited.clone() };
    assert_eq!(stops(stopped), "stopped: more than 4 did not succeed (--max-fails): 5");
    for (reason, words) in [("", "it was cancelled"), ("no need", "it was cancelled: no need")] {
        let cancel_reason = Some(reason.to_owned());
        assert_eq!(stops(GroupView { cancel_reason, stopped: true, ..limited.clone() }), words);
    }
}

#[test]
fn a_group_that_is_open_with_nothing_queued_waits_for_more() {
    let waits = "waits     for more tasks; 10m00s after the latest it counts as unfinished";
    assert!(!told(view()).contains(waits));
    let idle = GroupView { queued: 0, ..view() };
    assert!(told(idle.clone()).contains(waits));
    for state in ["running", "stopping", "unfinished"] {
        let group = GroupView { state: state.into(), ..idle.clone() };
        assert!(!told(group).contains(waits), "{state}");
    }
}

#[test]
fn only_what_did_not_succeed_is_to_be_tried_again() {
    let cancelled = GroupView { state: "cancelled".into(), ..view() };
    let text = told(cancelled.clone());
    assert!(text.ends_with("next      meshwork task retry 8f3a21\n"), "{text}");
    let text = told(GroupView { failed: 0, ..cancelled });
    assert!(text.ends_with("next      meshwork task result 8f3a21\n"), "{text}");
}
