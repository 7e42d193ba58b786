use std::io::{Seek as _, Write};

use bytes::Bytes;
use clap::Parser;

use super::*;
use crate::args::{Cli, Verb};

fn spec(line: &str) -> TaskSpec {
    let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
    let Verb::Run(args) = verb else { panic!("{line}") };
    of(*args).unwrap().task
}

fn read(parts: &[&str], stdin: &[u8]) -> Result<Input, Failure> {
    let parts: Vec<OsString> = parts.iter().map(OsString::from).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(stdin).unwrap();
    file.rewind().unwrap();
    input(&parts, Links::Keep, || Ok(file))
}

fn bytes(parts: &[&str], stdin: &[u8]) -> Result<Option<Bytes>, Failure> {
    Ok(read(parts, stdin)?.payload.and_then(Payload::into_bytes))
}

#[test]
fn words_are_joined_and_files_are_unchanged() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"\xff\n").unwrap();
    let at = format!("@{}", file.path().display());
    let plain = |parts: &[&str], stdin: &[u8]| bytes(parts, stdin).unwrap();
    assert_eq!(plain(&[], b"unread"), None);
    assert_eq!(plain(&["hello"], b""), Some("hello".into()));
    assert_eq!(plain(&["hello", "world"], b""), Some("hello world".into()));
    assert_eq!(plain(&["-"], b"from\nstdin\n"), Some("from\nstdin\n".into()));
    assert_eq!(plain(&[&at], b""), Some(Bytes::from_static(b"\xff\n")));
}

#[test]
fn a_file_or_standard_input_is_the_only_input() {
    for parts in [&["@a", "@b"][..], &["a", "@b"], &["-", "-"], &["-", "b"], &["a", "-"]] {
        let failure = bytes(parts, b"stdin").unwrap_err();
        assert_eq!(failure.exit, 2, "{parts:?}");
        assert!(failure.message.contains("2 inputs"), "{failure}");
    }
    let hint = bytes(&["@a", "@b"], b"").unwrap_err().hint.unwrap();
    assert!(hint.contains("cat a b | meshwork run"), "{hint}");
}

#[test]
fn error_names_the_option_with_two_values() {
    for (line, named) in [
        ("meshwork run text/upper x -p n=1 -p n=2", "--param n"),
        ("meshwork run text/upper x --label a=b --label a=c", "--label a"),
        ("meshwork run text/upper x --on any --on bee", "--on"),
    ] {
        let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
        let Verb::Run(args) = verb else { panic!("{line}") };
        let failure = of(*args).unwrap_err();
        assert_eq!(failure.exit, 2);
        assert!(failure.message.contains(named), "{failure}");
    }
}

#[test]
fn unreadable_input_is_named() {
    let failure = bytes(&["@/no/such/file"], b"").unwrap_err();
    assert_eq!(failure.exit, 2);
    assert!(failure.message.contains("/no/such/file"), "{failure}");
    assert!(failure.hint.is_some());
}

#[test]
fn what_does_not_fit_into_a_task_is_not_read_to_its_end() {
    let full = vec![b'x'; INLINE_BYTES];
    assert_eq!(bytes(&["-"], &full).unwrap().unwrap().len(), INLINE_BYTES);
    let endless = || Ok(File::open("/dev/zero").unwrap());
    let large = input(&["-".into()], Links::Keep, endless).unwrap().large;
    let Some(Source::Stream { start, rest: Some(_) }) = large else { panic!("{large:?}") };
    assert_eq!(start.len(), INLINE_BYTES + 1);
    let words = "x".repeat(INLINE_BYTES);
    assert!(read(&[&words, "x"], b"").unwrap().large.is_some());
}

#[test]
fn pipes_and_devices_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RWXU, 0).unwrap();
    let pipe = pipe.display();
    for (path, named) in [(pipe.to_string(), "pipe"), ("/dev/zero".to_owned(), "device")] {
        let failure = read(&[&format!("@{path}")], b"").unwrap_err();
        assert_eq!((failure.exit, &failure.code), (2, &ErrorCode::UnsupportedFile));
        assert!(failure.message.contains(named), "{failure}");
        let hint = format!("cat {path} | meshwork run HANDLER -");
        assert_eq!(failure.hint.as_ref(), Some(&hint));
        let added = Failure::of(Source::open(Path::new(&path), Links::Keep).unwrap_err().into());
        assert_eq!(added.code, ErrorCode::UnsupportedFile);
        assert_eq!(
            added.hint.as_deref(),
            Some(&*format!("read it into a file: cat {path} > FILE"))
        );
    }
}

#[test]
fn large_files_programs_and_folders_are_sent_beside_the_task() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("@{}", dir.path().join(name).display());
    std::fs::write(dir.path().join("small"), "s").unwrap();
    std::fs::write(dir.path().join("large"), vec![0; INLINE_BYTES + 1]).unwrap();
    assert!(read(&[&at("small")], b"").unwrap().large.is_none());
    let large = read(&[&at("large")], b"").unwrap().large.unwrap();
    assert_eq!(large.bytes(), INLINE_BYTES as u64 + 1);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(dir.path().join("small"), executable).unwrap();
    assert!(read(&[&at("small")], b"").unwrap().large.is_some());
    let folder = read(&[&at("")], b"").unwrap().large;
    assert!(matches!(folder, Some(Source::Folder(_))), "{folder:?}");
    std::os::unix::fs::symlink("/etc", dir.path().join("outside")).unwrap();
    let refused = read(&[&at("")], b"").unwrap_err();
    assert_eq!(refused.code, ErrorCode::UnsupportedLink);
}

#[test]
fn the_flags_reach_the_task() {
    let spec = spec(
        "meshwork run text/upper x -p n=3 --on bee --cpus 2 --mem 1KiB --gpu 1 \
         --label a=b --capability big --retries 4 --hedge --time 2s --deadline 9s --priority 7 --key k",
    );
    assert_eq!(spec.handler, "text/upper");
    assert_eq!(spec.targets, ["bee"]);
    assert_eq!(spec.params["n"], "3");
    let needs = &spec.requirements;
    assert_eq!((needs.cpus, needs.memory_bytes, needs.gpus), (2, 1_024, 1));
    assert_eq!(
        (needs.labels["a"].as_str(), needs.capabilities.as_slice()),
        ("b", &["big".to_owned()][..])
    );
    assert_eq!((spec.retry.attempts, spec.retry.hedge), (5, true));
    assert_eq!(spec.limits.attempt.unwrap().as_secs(), 2);
    assert_eq!(spec.limits.total.unwrap().as_secs(), 9);
    assert_eq!(spec.limits.queue, TaskLimits::default().queue);
    assert_eq!((spec.priority, spec.idempotency_key.as_deref()), (7, Some("k")));
}

#[test]
fn without_flags_the_task_has_defaults() {
    assert_eq!(spec("meshwork run text/stats"), TaskSpec::new("text/stats"));
    assert!(spec("meshwork run text/stats --on any").targets.is_empty());
}

#[tokio::test]
async fn only_a_task_with_a_large_input_is_checked_before() {
    let client = Client::new("/no/such/socket");
    let task = || TaskSpec::new("text/upper");
    Prepared { task: task(), large: None }.check(&client).await.unwrap();
    let large = Some(Source::Stream { start: Vec::new(), rest: None });
    let asked = Prepared { task: task(), large }.check(&client).await.unwrap_err();
    assert_eq!(Failure::of(asked).code, ErrorCode::Unreachable);
}
