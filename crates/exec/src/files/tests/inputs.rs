//! Inputs in all their forms.

use super::*;

/// Reports what a handler sees of its input.
async fn look(cx: TaskContext, input: Input) -> Result<Output, Failure> {
    let mut reader = input.reader()?;
    let mut read = Vec::new();
    reader.seek(SeekFrom::Start(1))?;
    reader.read_to_end(&mut read)?;
    let path = input.path()?;
    assert_eq!(path, input.path()?, "the same path");
    assert_eq!(fs::read(&path)?, input.bytes()?);
    assert!(path.starts_with(cx.work_dir()?.parent().unwrap()));
    assert!(!input.is_folder());
    let text = format!("{} {} {:o}", input.size(), BlobHash::of(&read), mode(&path));
    Ok(text.into())
}

#[tokio::test]
async fn input_is_the_same_inline_and_as_a_blob() {
    let home = Home::new();
    let mut rig = home.rig(look);
    let all = bytes(100_000);
    let rest = BlobHash::of(&all[1..]);
    let inline = rig.run(work(NAME, all.clone())).await;
    assert_eq!(output(inline), format!("100000 {rest} 444"));
    let blob = home.blob(&all, false);
    assert_eq!(output(rig.run(work(NAME, blob)).await), format!("100000 {rest} 444"));
    let program = home.blob(&all, true);
    assert_eq!(output(rig.run(work(NAME, program)).await), format!("100000 {rest} 555"));
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn path_of_a_file_shares_the_stored_file_and_that_of_a_program_does_not() {
    use std::os::unix::fs::MetadataExt as _;
    let home = Home::new();
    let mut rig = home.rig(|_cx, input| async move {
        Ok(fs::metadata(input.path()?)?.nlink().to_string().into())
    });
    let blob = home.blob(b"shared", false);
    assert_eq!(output(rig.run(work(NAME, blob)).await), "2");
    let program = home.blob(b"shared", true);
    assert_eq!(output(rig.run(work(NAME, program)).await), "1");
}

#[tokio::test]
async fn handler_of_bytes_gets_a_blob_in_memory_up_to_its_bound() {
    let home = Home::new();
    let mut registry = Registry::new();
    let len = |_cx, input: Bytes| async move { Ok(input.len().to_string().into()) };
    registry.register(handler_fn("test/len", len)).unwrap();
    let mut rig = Rig::with_files(registry, 1, Some(home.files.clone()));
    let most = usize::try_from(HANDLER_INPUT).unwrap();
    let fits = home.blob(&bytes(most), false);
    assert_eq!(output(rig.run(work("test/len", fits)).await), most.to_string());
    let larger = home.blob(&bytes(most + 1), false);
    let failure = failure(rig.run(work("test/len", larger)).await);
    assert_eq!(failure.code, FailureCode::InputTooLarge);
    assert!(!failure.is_retryable());
    assert!(failure.message.contains("16777217 bytes"), "{failure}");
    assert!(failure.message.contains("at most 16777216 bytes"), "{failure}");
}

#[tokio::test]
async fn input_that_the_store_lost_is_a_lost_input() {
    let home = Home::new();
    let mut rig = home.rig(look);
    let hash = BlobHash::of(b"never there");
    let lost = Payload::from(BlobRef::file(hash, 11, false));
    let failure = failure(rig.run(work(NAME, lost)).await);
    assert_eq!(failure.code, FailureCode::InputLost);
    assert!(failure.message.contains("does not have blob"), "{failure}");
}

#[tokio::test]
async fn input_of_another_size_than_stated_is_refused() {
    let home = Home::new();
    let mut rig = home.rig(look);
    let Payload::Blob(blob) = home.blob(b"six by", false) else { unreachable!() };
    let lied = Payload::from(BlobRef { size: 7, ..*blob });
    let failure = failure(rig.run(work(NAME, lied)).await);
    assert_eq!(failure.code, FailureCode::BadInput);
    assert!(failure.message.contains("6 bytes instead of 7"), "{failure}");
}

#[tokio::test]
async fn blob_without_a_store_fails_and_is_retryable() {
    let home = Home::new();
    let blob = home.blob(b"some", false);
    let mut registry = Registry::new();
    registry.register_file_handler(file_handler(NAME, look)).unwrap();
    let mut rig = Rig::new(registry, 1);
    let failure = failure(rig.run(work(NAME, blob)).await);
    assert!(failure.is_retryable());
    assert!(failure.message.contains("no store"), "{failure}");
}

#[tokio::test]
async fn handler_that_writes_to_its_input_fails_and_the_blob_is_named() {
    let home = Home::new();
    let mut rig = home.rig(|_cx, input| async move {
        let path = input.path()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        file.seek(SeekFrom::Start(2))?;
        file.write_all(b"X")?;
        Ok("done".into())
    });
    let blob = home.blob(b"untouched", false);
    let ended = rig.ended(work(NAME, blob)).await;
    assert_eq!(ended.written, [BlobHash::of(b"untouched")]);
    let failure = failure(ended.end);
    assert_eq!(failure.code, FailureCode::Permanent);
    assert!(failure.message.contains("wrote to its input"), "{failure}");
}

#[tokio::test]
async fn handler_that_panics_after_writing_to_its_input_is_found_out() {
    let home = Home::new();
    let mut rig = home.rig(|_cx, input| async move {
        let path = input.path()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        fs::write(&path, "shorter")?;
        panic!("and gone");
    });
    let blob = home.blob(b"untouched", false);
    let ended = rig.ended(work(NAME, blob)).await;
    assert_eq!(ended.written, [BlobHash::of(b"untouched")]);
    assert_eq!(failure(ended.end).code, FailureCode::Panicked);
}

#[tokio::test]
async fn blob_removed_while_it_is_used_is_not_called_written() {
    let home = Home::new();
    let store = home.store().clone();
    let mut rig = home.rig(move |_cx, input| {
        let store = store.clone();
        async move {
            let path = input.path()?;
            let published = store.publish(vec![])?;
            assert!(published.is_empty());
            fs::remove_file(&path)?;
            Ok("gone".into())
        }
    });
    let ended = rig.ended(work(NAME, home.blob(b"here", false))).await;
    assert_eq!((ended.written.len(), output(ended.end)), (0, "gone".into()));
}
