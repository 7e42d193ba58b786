use meshwork_api::{AttemptView, ObstacleView, ProgressView};

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn task() -> TaskView {
    TaskView {
        id: "019aa2c4-0000-7000-8000-0000008f3a21".to_owned(),
        short: "8f3a21".to_owned(),
        group: None,
        index: None,
        handler: "text/upper".to_owned(),
        state: "queued".into(),
        priority: 0,
        durability: "disk".into(),
        input_bytes: 5,
        submitted_at: at("2026-11-23T12:00:00Z"),
        ended_at: None,
        attempts: Vec::new(),
        stage: None,
        progress: None,
        worker: None,
        worker_name: None,
        took_us: None,
        output_bytes: None,
        output_blob: None,
        output_tail: None,
        waiting: None,
        error: None,
    }
}

#[test]
fn last_lines_of_a_result_cannot_control_the_terminal() {
    let lines = vec!["one".to_owned(), "two\u{1b}[2J".to_owned()];
    let task = TaskView { state: "succeeded".into(), output_tail: Some(lines), ..task() };
    let text = story(&task, at("2026-11-23T12:00:42Z"));
    assert!(text.contains("output    its last lines\n  one\n  two\u{fffd}[2J\n"), "{text}");
    let empty = TaskView { output_tail: Some(Vec::new()), ..task };
    assert!(!story(&empty, at("2026-11-23T12:00:42Z")).contains("output"));
}

#[test]
fn shown_progress_cannot_control_the_terminal() {
    let progress = |fraction, message: &str| {
        let message = message.to_owned();
        let progress = Some(ProgressView { fraction, message });
        let task = TaskView { state: "running".into(), progress, ..task() };
        story(&task, at("2026-11-23T12:00:42Z"))
    };
    let text = progress(0.426, "page 3\u{1b}[2J");
    assert!(text.contains("progress  42 %  page 3\u{fffd}[2J\n"), "{text}");
    assert!(progress(0.999, "").contains("progress  99 %\n"), "it is not done");
    assert!(!story(&task(), at("2026-11-23T12:00:42Z")).contains("progress"));
}

#[test]
fn waiting_task_names_the_obstacle_of_each_peer() {
    let task = TaskView {
        waiting: Some(WaitingView {
            code: "no_worker".into(),
            message: "no connected worker can run it".to_owned(),
            next_try_at: Some(at("2026-11-23T12:00:51Z")),
            gives_up_at: Some(at("2026-11-23T12:10:00Z")),
            peers: vec![
                ObstacleView {
                    peer: "12D3KooWA".to_owned(),
                    name: Some("ant".to_owned()),
                    code: "requirement".into(),
                    message: "gpus: 0 of 1".to_owned(),
                },
                ObstacleView {
                    peer: "12D3KooWB".to_owned(),
                    name: Some("b\u{1b}[2Jee".to_owned()),
                    code: "none".into(),
                    message: "free".to_owned(),
                },
            ],
            sums: [("none".into(), 1), ("requirement".into(), 1)].into(),
        }),
        ..task()
    };
    let text = story(&task, at("2026-11-23T12:00:42Z"));
    assert!(text.starts_with("8f3a21  QUEUED  42s  text/upper\n"), "{text}");
    assert!(text.contains("waits     no connected worker can run it\n"), "{text}");
    assert!(text.contains("  ant  no  gpus: 0 of 1\n"), "{text}");
    assert!(text.contains("  b\u{fffd}[2Jee  yes  free\n"), "{text}");
    assert!(text.contains("  2 workers: 1 free, 1 missing a requirement\n"), "{text}");
    assert!(text.contains("  next try in 9.0s; gives up in 9m18s (--queue-timeout)\n"), "{text}");
    assert!(text.ends_with("next      meshwork wait 8f3a21\n"), "{text}");
}

#[test]
fn story_of_two_attempts_names_the_successful_one() {
    let attempt = |number, peer: &str, end: &str| AttemptView {
        number,
        peer: peer.to_owned(),
        peer_name: None,
        started_at: at("2026-11-23T12:00:00Z"),
        ended_at: Some(at("2026-11-23T12:00:03Z")),
        end: Some(end.to_owned()),
    };
    let given_up = attempt(2, "12D3KooWB", "given up: another attempt was faster");
    let task = TaskView {
        state: "succeeded".into(),
        ended_at: Some(at("2026-11-23T12:00:03Z")),
        attempts: vec![attempt(1, "12D3KooWA", "succeeded"), given_up],
        worker: Some("12D3KooWA".to_owned()),
        worker_name: Some("ant".to_owned()),
        ..task()
    };
    let text = story(&task, at("2026-11-23T12:01:00Z"));
    assert!(text.starts_with("8f3a21  SUCCEEDED  text/upper  attempt 1  on ant\n"), "{text}");
    assert!(text.contains("-> attempt 1 +0"), "{text}");
}

#[test]
fn story_of_a_failed_task_names_attempts_and_cause() {
    let attempt = |number, name: &str, end: &str| AttemptView {
        number,
        peer: "12D3KooWA".to_owned(),
        peer_name: Some(name.to_owned()),
        started_at: at("2026-11-23T12:00:00.200Z"),
        ended_at: Some(at("2026-11-23T12:00:01.400Z")),
        end: Some(end.to_owned()),
    };
    let task = TaskView {
        state: "failed".into(),
        ended_at: Some(at("2026-11-23T12:00:03.4Z")),
        attempts: vec![attempt(1, "bee", "lost"), attempt(2, "cat", "permanent: no\nway")],
        worker: Some("12D3KooWB".to_owned()),
        worker_name: Some("cat".to_owned()),
        error: Some(ErrorView {
            code: "permanent".into(),
            message: "no\nway".to_owned(),
            exit: Some(42),
            worker: None,
            limit: None,
            by: None,
        }),
        ..task()
    };
    let text = story(&task, at("2026-11-23T13:00:00Z"));
    assert!(text.starts_with("8f3a21  FAILED  text/upper  attempt 2  on cat  exit 42\n"), "{text}");
    assert!(text.contains("why       no way\n"), "{text}");
    assert!(text.contains(" -> attempt 2 +200ms -> failed +3.4s\n"), "{text}");
    assert!(
        text.contains("  1  bee  lost after 1.2s\n  2  cat  permanent: no way after 1.2s\n"),
        "{text}"
    );

    let failure = failure(&task);
    assert_eq!(failure.exit, 42);
    assert_eq!(failure.message, "task 8f3a21 failed on cat");
    assert_eq!(failure.cause.as_deref(), Some("no way"));
    assert_eq!(failure.hint.as_deref(), Some("meshwork task show 8f3a21"));
}

#[test]
fn expired_task_names_the_flag_of_its_limit() {
    for (limit, flag) in
        [("queue", "--queue-timeout"), ("attempt", "--time"), ("total", "--deadline")]
    {
        let error = ErrorView {
            code: "expired".into(),
            message: format!("the {limit} time limit was reached"),
            exit: None,
            worker: None,
            limit: Some(limit.into()),
            by: None,
        };
        let task = TaskView { state: "expired".into(), error: Some(error), ..task() };
        let failure = failure(&task);
        assert_eq!(failure.exit, 124);
        assert!(failure.cause.unwrap().contains(flag));
    }
}
