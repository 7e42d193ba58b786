use chrono::DateTime;
use meshwork_api::ErrorView;

use super::*;

fn ended_task(error: Option<(&str, Option<u8>)>) -> TaskView {
    TaskView {
        id: String::new(),
        short: String::new(),
        group: None,
        index: None,
        handler: "text/upper".to_owned(),
        state: if error.is_some() { "failed" } else { "succeeded" }.into(),
        priority: 0,
        durability: "disk".into(),
        input_bytes: 0,
        submitted_at: DateTime::UNIX_EPOCH,
        ended_at: Some(DateTime::UNIX_EPOCH),
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
        error: error.map(|(code, exit)| ErrorView {
            code: code.into(),
            message: String::new(),
            exit,
            worker: None,
            limit: None,
            by: None,
        }),
    }
}

#[test]
fn exit_code_of_a_task_is_kept_up_to_123() {
    assert_eq!(of_task(&ended_task(None)), DONE);
    assert_eq!(of_task(&ended_task(Some(("handler", None)))), FAILED);
    assert_eq!(of_task(&ended_task(Some(("permanent", Some(42))))), 42);
    assert_eq!(of_task(&ended_task(Some(("handler", Some(123))))), 123);
    for foreign in [0, 124, 127, 255] {
        assert_eq!(of_task(&ended_task(Some(("handler", Some(foreign))))), FAILED, "{foreign}");
    }
}

#[test]
fn failure_codes_map_to_exit_codes() {
    for (code, exit) in [
        ("panicked", FAILED),
        ("bad_parameter", FAILED),
        ("bad_input", FAILED),
        ("input_too_large", FAILED),
        ("input_lost", FAILED),
        ("no_space", FAILED),
        ("output_too_large", FAILED),
        ("expired", TIME_LIMIT),
        ("timed_out", TIME_LIMIT),
        ("lost", OWN_FAILURE),
        ("cancelled", OWN_FAILURE),
        ("refused", REFUSED),
        ("unknown_handler", NO_HANDLER),
    ] {
        assert_eq!(of_task(&ended_task(Some((code, None)))), exit, "{code}");
    }
}

#[test]
fn api_error_codes_map_to_exit_codes() {
    for (code, alone, beside) in [
        ("unreachable", 3, 125),
        ("not_found", 4, 125),
        ("peer_not_found", 4, 125),
        ("ambiguous", 4, 125),
        ("denied", 5, 126),
        ("not_accepted", 5, 126),
        ("bad_request", 2, 125),
        ("invalid_task", 2, 125),
        ("too_large", 2, 125),
        ("queue_full", 1, 126),
        ("disk_full", 1, 126),
        // The input of a task that was never submitted.
        ("no_space", 1, 126),
        ("busy", 1, 126),
        ("conflict", 1, 126),
        ("other_size", 1, 125),
        ("input_changed", 1, 125),
        ("unsupported_file", 2, 125),
        ("recovering", 1, 126),
        ("shutting_down", 1, 126),
        ("unknown_handler", 1, 127),
        ("anything", 1, 125),
    ] {
        let of = ErrorCode::from(code);
        assert_eq!((of_code(&of), beside_task(&of)), (alone, beside), "{code}");
    }
}
