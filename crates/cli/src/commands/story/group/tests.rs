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

fn text(group: GroupView) -> String {
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
fn story_of_a_group_has_counts_waits_and_first_failures() {
    let text = text(view());
    for line in [
        "8f3a21  OPEN  group of 1,203 tasks",
        "tasks     1,000 queued, 2 running, 200 succeeded, 1 failed",
        "when      submitted 42s ago, its latest tasks 12s ago",
        "waits     1,000 of text/upper: every worker that may run it is busy",
        "  ant  no  no credit",
        "waits     3 with other requirements",
        "failed first",
    ] {
        assert!(text.lines().any(|other| other == line), "{line:?} in {text}");
    }
    assert!(text.contains("  7  failed: bad_input: not "), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("stops"), "{text}");
    assert!(text.ends_with("next      meshwork wait 8f3a21, or meshwork task cancel 8f3a21\n"));
}

#[test]
fn story_names_what_stops_a_group() {
    let limited = GroupView { max_fails: Some(4), ..view() };
    let stops = |group: GroupView| {
        let text = text(group);
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
fn open_group_without_queued_tasks_waits_for_more() {
    let waits =
        "waits     for more tasks; counts as unfinished if all have ended and none comes for";
    assert!(!text(view()).contains(waits));
    let idle = GroupView { queued: 0, ..view() };
    assert!(text(idle.clone()).contains(waits));
    for state in ["running", "stopping", "unfinished"] {
        let group = GroupView { state: state.into(), ..idle.clone() };
        assert!(!text(group).contains(waits), "{state}");
    }
}

#[test]
fn retry_is_suggested_only_for_failed_members() {
    let cancelled = GroupView { state: "cancelled".into(), ..view() };
    let retried = text(cancelled.clone());
    assert!(retried.ends_with("next      meshwork task retry 8f3a21\n"), "{retried}");
    let fetched = text(GroupView { failed: 0, ..cancelled });
    assert!(fetched.ends_with("next      meshwork task result 8f3a21\n"), "{fetched}");
}
