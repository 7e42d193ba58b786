//! Outputs in all their forms.

use std::io::{self, ErrorKind};

use meshwork_blob::WriteError;

use super::*;
use crate::{HandlerError, testing::context};

/// Writes as many bytes as the input says.
async fn write(cx: TaskContext, input: Input) -> Result<Output, Failure> {
    let len: usize = str::from_utf8(&input.bytes()?)?.parse()?;
    let mut output = Output::writer(&cx);
    for chunk in bytes(len).chunks(10_007) {
        output.write_all(chunk)?;
    }
    Ok(output.finish()?)
}

#[tokio::test]
async fn written_output_is_inline_up_to_the_bound_and_a_blob_above() {
    let home = Home::new();
    let mut rig = home.rig(write);
    let inline = rig.ended(work(NAME, INLINE_BYTES.to_string())).await;
    assert!(inline.blobs.is_empty());
    assert_eq!(output(inline.end), bytes(INLINE_BYTES));
    for len in [INLINE_BYTES + 1, 5 * INLINE_BYTES + 3] {
        let ended = rig.ended(work(NAME, len.to_string())).await;
        assert_eq!(home.published(ended), (BlobForm::FILE, bytes(len)), "{len}");
    }
    assert_eq!(home.drafts(), 0);
}

#[tokio::test]
async fn writes_of_any_size_give_the_same_output() {
    let home = Home::new();
    let all = bytes(4 * INLINE_BYTES);
    for size in [1 << 10, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 3 * INLINE_BYTES] {
        let written = all.clone();
        let mut rig = home.rig(move |cx, _input| {
            let written = written.clone();
            async move {
                let mut output = Output::writer(&cx);
                written.chunks(size).try_for_each(|chunk| output.write_all(chunk))?;
                Ok(output.finish()?)
            }
        });
        let ended = rig.ended(work(NAME, "")).await;
        assert!(home.published(ended).1 == all, "{size}");
    }
}

#[tokio::test]
async fn large_output_of_a_handler_of_bytes_is_a_blob() {
    let home = Home::new();
    let mut registry = Registry::new();
    let large = |_cx, _input| async move { Ok(bytes(INLINE_BYTES + 1).into()) };
    registry.register(handler_fn("test/large", large)).unwrap();
    let mut rig = Rig::with_files(registry.clone(), 1, Some(home.files.clone()));
    let ended = rig.ended(work("test/large", "")).await;
    assert_eq!(home.published(ended), (BlobForm::FILE, bytes(INLINE_BYTES + 1)));
    let mut rig = Rig::new(registry, 1);
    let failure = failure(rig.run(work("test/large", "")).await);
    assert_eq!(failure.code, FailureCode::OutputTooLarge);
}

#[tokio::test]
async fn written_output_without_a_store_is_bounded() {
    let mut registry = Registry::new();
    registry.register_file_handler(file_handler(NAME, write)).unwrap();
    let mut rig = Rig::new(registry, 1);
    let fits = rig.run(work(NAME, INLINE_BYTES.to_string())).await;
    assert_eq!(output(fits), bytes(INLINE_BYTES));
    let failure = failure(rig.run(work(NAME, (INLINE_BYTES + 1).to_string())).await);
    assert_eq!(failure.code, FailureCode::OutputTooLarge);
}

#[test]
fn write_beyond_the_bound_fails_at_once_without_a_store() {
    let cx = context(&[]);
    let mut output = Output::writer(&cx);
    output.write_all(&bytes(INLINE_BYTES)).unwrap();
    let error = output.write_all(b"x").unwrap_err();
    assert!(matches!(error.into(), HandlerError::OutputTooLarge));
    assert_eq!(output.finish().unwrap().small().unwrap(), bytes(INLINE_BYTES));
}

#[tokio::test]
async fn instant_handler_with_a_large_output_stores_it_on_a_handler_thread() {
    struct Instant;
    impl FileHandler for Instant {
        fn name(&self) -> &str {
            NAME
        }
        async fn run(&self, _cx: &TaskContext, _input: Input) -> Result<Output, Failure> {
            Ok(bytes(INLINE_BYTES + 1).into())
        }
        fn is_instant(&self, _input_len: usize) -> bool {
            true
        }
    }
    let home = Home::new();
    let mut registry = Registry::new();
    registry.register_file_handler(Instant).unwrap();
    let mut rig = Rig::with_files(registry, 1, Some(home.files.clone()));
    // `ended` asserts that it does not end in place.
    let ended = rig.ended(work(NAME, "")).await;
    assert_eq!(home.published(ended), (BlobForm::FILE, bytes(INLINE_BYTES + 1)));
}

/// Makes files in the work folder, and outputs the one that the input names.
async fn choose(cx: TaskContext, input: Input) -> Result<Output, Failure> {
    let dir = cx.work_dir()?;
    fs::write(dir.join("small"), "small")?;
    fs::write(dir.join("large"), bytes(INLINE_BYTES + 1))?;
    fs::write(dir.join("program"), "#!/bin/sh")?;
    fs::set_permissions(dir.join("program"), fs::Permissions::from_mode(0o755))?;
    fs::create_dir(dir.join("folder"))?;
    fs::write(dir.join("folder/inner"), "inner")?;
    std::os::unix::fs::symlink("small", dir.join("link"))?;
    std::os::unix::fs::symlink("/etc", dir.join("etc"))?;
    let name = input.bytes()?;
    Ok(Output::file(str::from_utf8(&name)?.replace("WORK", dir.to_str().unwrap())))
}

#[tokio::test]
async fn output_file_is_taken_from_the_work_folder() {
    let home = Home::new();
    let mut rig = home.rig(choose);
    for name in ["small", "WORK/small", "folder/../small"] {
        assert_eq!(output(rig.run(work(NAME, name)).await), "small", "{name}");
    }
    assert_eq!(output(rig.run(work(NAME, "folder/inner")).await), "inner");
    let large = rig.ended(work(NAME, "large")).await;
    assert_eq!(home.published(large), (BlobForm::FILE, bytes(INLINE_BYTES + 1)));
    let program = rig.ended(work(NAME, "program")).await;
    let form = BlobForm::File { executable: true };
    assert_eq!(home.published(program), (form, b"#!/bin/sh".to_vec()));
    assert_eq!((home.folders().len(), home.drafts()), (0, 0));
}

#[tokio::test]
async fn output_file_outside_or_of_another_kind_is_refused() {
    let home = Home::new();
    let mut rig = home.rig(choose);
    for (name, why, retryable) in [
        ("missing", "No such file", true),
        ("folder", "not a file", false),
        ("link", "not a file", false),
        ("etc/passwd", "not in the attempt's work folder", false),
        ("/etc/passwd", "not in the attempt's work folder", false),
        ("../../../work", "not in the attempt's work folder", false),
        ("..", "not in the attempt's work folder", false),
    ] {
        let failure = failure(rig.run(work(NAME, name)).await);
        assert!(failure.message.contains(why), "{name}: {failure}");
        assert_eq!(failure.is_retryable(), retryable, "{name}: {failure}");
    }
    assert_eq!((home.folders().len(), home.drafts()), (0, 0));
}

#[tokio::test]
async fn dropped_report_leaves_no_blob() {
    let home = Home::new();
    let mut rig = home.rig(write);
    let ended = rig.ended(work(NAME, (2 * INLINE_BYTES).to_string())).await;
    assert_ne!(home.drafts(), 0);
    drop(ended);
    assert_eq!(home.drafts(), 0);
    assert!(home.store().published().is_empty());
}

#[tokio::test]
async fn failed_handler_leaves_no_draft() {
    let home = Home::new();
    let mut rig = home.rig(|cx, _input| async move {
        let mut output = Output::writer(&cx);
        output.write_all(&bytes(3 * INLINE_BYTES))?;
        Err(Failure::new("changed its mind"))
    });
    let failure = failure(rig.run(work(NAME, "")).await);
    assert_eq!(failure.message, "changed its mind");
    assert_eq!(home.drafts(), 0);
}

#[test]
fn full_store_is_a_fault_of_the_worker() {
    let full = || WriteError::Full { path: "new/1".into(), source: ErrorKind::StorageFull.into() };
    for error in [HandlerError::not_stored(full()), io::Error::other(full()).into()] {
        assert_eq!(error.code(), FailureCode::NoSpace);
        assert!(error.to_string().contains("cannot store the output: no space"), "{error}");
    }
}
