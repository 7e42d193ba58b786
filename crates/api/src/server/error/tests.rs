use meshwork_core::{FailureCode, Multiaddr, PeerId, TaskFailure, task::InvalidTask};

use super::*;

#[test]
fn each_reason_has_a_status_its_code_and_a_hint() {
    let text = String::new;
    let second = Duration::from_secs(1);
    let cases = [
        (Reason::NotAdmitted { detail: text() }, 403),
        (Reason::WrongNetwork { ours: text(), theirs: text() }, 403),
        (Reason::IncompatibleVersion { detail: text() }, 501),
        (Reason::NotAccepted { family: text(), accepts: text() }, 403),
        (Reason::UnknownHandler { handler: text() }, 422),
        (Reason::TooLarge { limit: 1 }, 413),
        (Reason::QueueFull { retry_after: second }, 503),
        (Reason::DiskFull { retry_after: second }, 507),
        (Reason::Busy { retry_after: second }, 503),
        (Reason::Recovering { percent: 42, retry_after: second }, 503),
        (Reason::ShuttingDown, 503),
        (Reason::Conflict { what: text() }, 409),
        (Reason::Denied { detail: text() }, 403),
        (Reason::Unsupported { what: text() }, 501),
        (Reason::NotFound, 404),
        (Reason::InvalidTask { detail: text() }, 400),
        (Reason::GroupStopped { failed: 2, max_fails: 1 }, 409),
        (Reason::GroupCancelled, 409),
    ];
    for (reason, status) in cases {
        let (code, hint, retryable) = (reason.code(), reason.hint(), reason.is_retryable());
        let percent =
            if let Reason::Recovering { percent, .. } = reason { Some(percent) } else { None };
        let problem = Problem::from(reason);
        assert_eq!(problem.status, status, "{code}");
        assert_eq!(problem.code, code);
        assert_eq!(problem.percent, percent, "{code}");
        assert_eq!(problem.kind, format!("urn:meshwork:problem:{code}"));
        assert_eq!(problem.hint.as_deref(), Some(&*hint));
        assert_eq!(problem.is_retryable(), retryable, "{code}");
    }
}

#[test]
fn each_error_of_the_node_has_a_status_and_its_code() {
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let unreachable =
        DialError::Unreachable { address: address.clone(), why: "refused".to_owned() };
    let cases: [(NetworkError, u16, &str); 9] = [
        (NetworkError::PeerNotFound(PeerId::random()), 404, "peer_not_found"),
        (DialError::SelfDial(address).into(), 400, "connection"),
        (unreachable.into(), 502, "connection"),
        (InvalidTask::InputTooLarge { bytes: 2, limit: 1 }.into(), 413, "too_large"),
        (InvalidTask::Field { field: "params", why: String::new() }.into(), 400, "invalid_task"),
        (NetworkError::TimeoutError { what: "it", after: RETRY }, 504, "timeout"),
        (InternalError::Stopped.into(), 503, "internal"),
        (InternalError::AlreadyStarted.into(), 500, "internal"),
        (Reason::NotFound.into(), 404, "not_found"),
    ];
    for (error, status, code) in cases {
        let told = error.to_string();
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{told}");
        assert_eq!(problem.detail, told);
    }
}

#[test]
fn what_names_no_task_says_so() {
    let none = Problem::from(FindError::None("x".to_owned()));
    assert_eq!((none.status, none.code.as_str()), (404, "not_found"));
    let several = Problem::from(FindError::Several { suffix: "x".to_owned(), count: 2 });
    assert_eq!((several.status, several.code.as_str()), (409, "ambiguous"));
    assert_eq!(Problem::from(FindError::Stopped).status, 503);
    let failed = TaskError::Failed(TaskFailure::new(FailureCode::Handler, "no"));
    assert_eq!(Problem::from(failed).code, "no_result");
}

#[test]
fn the_answer_names_its_media_type_and_when_to_come_back() {
    let busy = Reason::Busy { retry_after: Duration::from_millis(1_200) };
    let response = Problem::from(busy).into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["retry-after"], "2");
}
