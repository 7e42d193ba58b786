use meshwork_core::{BlobHash, FailureCode, Multiaddr, PeerId, TaskFailure, task::InvalidTask};

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
        (Reason::Forgotten { keep: second, keep_bytes: 1 }, 410),
        (Reason::Damaged { detail: text() }, 500),
        (Reason::NoSpace { need: 2, free: 1, budget: 3, in_use: None, retry_after: second }, 507),
        (Reason::BlobMissing { hash: BlobHash::of(b"") }, 404),
        (Reason::BlobInUse { hash: BlobHash::of(b"") }, 409),
        (Reason::PeersFull { max_peers: 1, retry_after: second }, 403),
    ];
    for (reason, status) in cases {
        let (code, hint, retryable) = (reason.code(), reason.hint(), reason.is_retryable());
        let percent =
            if let Reason::Recovering { percent, .. } = reason { Some(percent) } else { None };
        let problem = Problem::from(reason);
        assert_eq!(problem.status, status, "{code}");
        assert_eq!(problem.code.as_str(), code);
        assert!(ErrorCode::WORDS.contains(&code), "{code}");
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
        let message = error.to_string();
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{message}");
        assert!(ErrorCode::WORDS.contains(&code), "{code}");
        assert_eq!(problem.detail, message);
    }
}

#[test]
fn each_error_of_a_blob_has_a_status_and_its_code() {
    let (expected, found) = (BlobHash::of(b"1"), BlobHash::of(b"2"));
    let no_list = meshwork_blob::folder::parts(b"").unwrap_err();
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = meshwork_blob::WriteError::Full { path: "/a".into(), source: full };
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let disk_full = BlobError::DiskFull { need: 3, free: 2, budget: 9, source };
    let cases: [(BlobError, u16, &str); 7] = [
        (disk_full, 507, "disk_full"),
        (BlobError::OtherSize { announced: 2, found: 1 }, 422, "other_size"),
        (BlobError::OtherHash { expected, found }, 422, "other_hash"),
        (BlobError::Format(no_list), 422, "bad_folder"),
        (full.into(), 507, "disk_full"),
        (meshwork_blob::ReadError::Missing { hash: found }.into(), 404, "blob_missing"),
        (Reason::BlobInUse { hash: found }.into(), 409, "blob_in_use"),
    ];
    for (error, status, code) in cases {
        let (message, retryable) = (error.to_string(), error.is_retryable());
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{message}");
        assert!(ErrorCode::WORDS.contains(&code), "{code}");
        assert_eq!(problem.is_retryable(), retryable, "{code}");
        assert_eq!(problem.detail, message);
        let is_full = code == "disk_full";
        assert!(!is_full || problem.hint.is_some_and(|hint| hint.contains("meshwork blob gc")));
    }
}

#[test]
fn selector_without_one_match_is_a_problem() {
    let none = Problem::from(FindError::None("x".to_owned()));
    assert_eq!((none.status, none.code.as_str()), (404, "not_found"));
    let several = Problem::from(FindError::Several { suffix: "x".to_owned(), count: 2 });
    assert_eq!((several.status, several.code.as_str()), (409, "ambiguous"));
    assert_eq!(Problem::from(FindError::Stopped).status, 503);
    let failed = TaskError::Failed(TaskFailure::new(FailureCode::Handler, "no"));
    assert_eq!(Problem::from(failed).code, "no_result".into());
}

#[test]
fn problem_sets_media_type_and_retry_after() {
    let busy = Reason::Busy { retry_after: Duration::from_millis(1_200) };
    let response = Problem::from(busy).into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["retry-after"], "2");
}

/// The texts between `from` and `to` in a source file.
fn between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split_once(to)).map(|(found, _)| found)
}

/// The quoted texts.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// All sources below a folder, without tests.
fn sources(dir: &std::path::Path, all: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The word of the first `ErrorCode` in a call.
fn code_in(call: &str) -> Option<&'static str> {
    let (_, name) = call.split_once("ErrorCode::")?;
    let name = name.split(|letter: char| !letter.is_alphanumeric()).next()?;
    let is_it = |word: &&str| format!("{:?}", ErrorCode::from(*word)) == name;
    ErrorCode::WORDS.iter().copied().find(is_it)
}

#[test]
fn each_code_is_documented() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |path: &str| std::fs::read_to_string(crates.join(path)).unwrap();
    let reason = read("core/src/reason.rs");
    let reason = between(&reason, "fn code(&self)", "\n    }\n").next().unwrap().to_owned();
    let reasons: Vec<&str> = between(&reason, "=> \"", "\"").collect();
    assert!(reasons.len() > 20, "{reasons:?}");
    let mut own = String::new();
    sources(&crates.join("api/src/server"), &mut own);
    let own: String = own.split_whitespace().collect::<Vec<_>>().join(" ");
    let answers =
        between(&own, "(StatusCode::", ")").chain(between(&own, "Problem::new(status,", ")"));
    let own: Vec<&str> = answers.filter_map(code_in).collect();
    assert!(own.contains(&"no_such_route") && own.contains(&"is_group"), "{own:?}");
    let (node, journal) = (read("node/src/error.rs"), read("node/src/journal/error.rs"));
    let node = [&node, &journal].map(|text| {
        let codes = between(text, "fn code(&self)", "\n    }\n");
        codes.flat_map(quoted).collect::<Vec<_>>()
    });
    assert!(node.iter().all(|codes| !codes.is_empty()), "{node:?}");
    let (api, protocol) = (read("api/src/lib.rs"), read("../docs/protocol.md"));
    for code in reasons.iter().chain(&own).chain(node.iter().flatten()) {
        let row = |line: &&str| line.starts_with("//! | `") && line.contains(&format!("`{code}`"));
        assert!(api.lines().any(|line| row(&line)), "{code} is missing in the API's documentation");
    }
    for code in reasons {
        let is_there = [format!("| {code} |"), format!("`{code}`")];
        assert!(
            is_there.iter().any(|text| protocol.contains(text)),
            "{code} is missing in the protocol's"
        );
    }
}
