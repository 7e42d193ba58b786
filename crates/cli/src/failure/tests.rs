use anyhow::Context;
use meshwork_api::Problem;

use super::*;

#[test]
fn missing_node_is_reported_with_the_start_command() {
    let path = "/h/api.sock".into();
    let source = io::Error::from(io::ErrorKind::NotFound);
    let failure = Failure::of(ClientError::Unreachable { path, source }.into());
    assert_eq!((failure.exit, failure.code.as_str()), (3, "unreachable"));
    assert_eq!(failure.message, "cannot reach the node at unix:/h/api.sock");
    assert_eq!(failure.cause.as_deref(), Some("the socket does not exist"));
    assert!(failure.hint.as_ref().unwrap().contains("meshwork up"));
    assert_eq!(failure.beside_a_task().exit, 125);
}

#[test]
fn socket_of_another_user_has_no_start_hint() {
    let path = "/root/h/api.sock".into();
    let source = io::Error::from(io::ErrorKind::PermissionDenied);
    let failure = Failure::of(ClientError::Unreachable { path, source }.into());
    assert_eq!(failure.cause.as_deref(), Some("the socket belongs to another user"));
    let hint = failure.hint.unwrap();
    assert!(hint.contains("user that runs the node") && !hint.contains("meshwork up"), "{hint}");
}

#[test]
fn a_problem_keeps_its_code_and_hint() {
    let problem: Problem = serde_json::from_value(serde_json::json!({
        "type": "urn:meshwork:problem:not_found", "title": "Not Found", "status": 404,
        "detail": "no task or group ends in \"x\"", "code": "not_found", "hint": "look elsewhere",
    }))
    .unwrap();
    let failure = Failure::of(ClientError::Api(Box::new(problem)).into());
    assert_eq!((failure.exit, failure.code.as_str()), (4, "not_found"));
    assert_eq!(failure.message, "no task or group ends in \"x\"");
    assert_eq!(failure.hint.as_deref(), Some("look elsewhere"));
}

#[test]
fn wrong_configuration_field_is_named_by_its_flag() {
    for (field, flag) in [
        ("listen_addrs", "--listen"),
        ("bootstrap_peers", "--bootstrap"),
        ("tasks.lease", "--lease"),
        ("name", "--name"),
        ("listen_addresses", "--listen"),
        ("max_peers", "--max-peers"),
        ("ping_interval", "ping_interval"),
    ] {
        let error = BuildError::Config { field, why: "too much".to_owned() };
        let failure = Failure::of(NetworkError::from(error).into());
        assert_eq!(failure.exit, 2);
        assert_eq!(failure.message, format!("{flag}: too much"));
    }
}

#[test]
fn other_error_keeps_its_causes() {
    let error = Err::<(), _>(io::Error::other("disk on fire")).context("cannot write");
    let failure = Failure::of(error.unwrap_err());
    assert_eq!((failure.exit, failure.message.as_str()), (1, "cannot write"));
    assert_eq!(failure.cause.as_deref(), Some("disk on fire"));
}

#[test]
fn missing_archived_file_has_a_hint_to_salvage() {
    let error = JournalError::MissingEnded { path: "/h/ended/1".into() };
    let failure = Failure::usage(error.to_string()).with_hint_of_journal(&error);
    assert!(failure.message.contains("/h/ended/1 is missing"), "{failure:?}");
    assert!(failure.hint.as_ref().unwrap().contains("meshwork store salvage"), "{failure:?}");
}

/// Collects the Rust sources below a folder.
fn sources(dir: &std::path::Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            all.push((path.display().to_string(), text));
        }
    }
}

/// Programs without a command line read the library's errors too, so only this crate names
/// commands.
#[test]
fn no_error_of_the_library_names_a_command() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let verbs: Vec<String> = <crate::args::Cli as clap::CommandFactory>::command()
        .get_subcommands()
        .map(|verb| format!("meshwork {}", verb.get_name()))
        .collect();
    assert!(verbs.contains(&"meshwork store".to_owned()));
    let (mut all, mut seen) = (Vec::new(), 0);
    for name in ["api", "core", "exec", "meshwork", "net", "node"] {
        sources(&crates.join(name).join("src"), &mut all);
    }
    for (path, text) in all {
        for error in text.split("#[error(").skip(1) {
            let message = error.split(")]").next().unwrap_or_default();
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            seen += 1;
            let named = verbs.iter().find(|verb| message.contains(verb.as_str()));
            assert!(named.is_none() && !message.contains("--"), "{path}: {message}");
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn time_limit_and_interrupt_keep_their_exit_codes_beside_a_task() {
    for (exit, code) in [(exit::TIME_LIMIT, "time_limit"), (exit::INTERRUPTED, "interrupted")] {
        assert_eq!(Failure::new(exit, code, "").beside_a_task().exit, exit);
    }
    assert_eq!(
        Failure::new(exit::FAILED, "incomplete", "").beside_a_task().exit,
        exit::OWN_FAILURE
    );
    assert_eq!(Failure::new(exit::FAILED, "busy", "").beside_a_task().exit, exit::REFUSED);
}

#[test]
fn full_disk_of_the_command_is_no_refusal_of_the_node() {
    let source = io::ErrorKind::StorageFull.into();
    let local = TransferError::File { path: "results/a".into(), source };
    let local = Failure::of(local.into());
    assert_eq!(local.code, ErrorCode::DiskFull);
    assert_eq!(local.beside_a_task().exit, exit::OWN_FAILURE);
    assert_eq!(Failure::new(exit::FAILED, "disk_full", "").beside_a_task().exit, exit::REFUSED);
}
