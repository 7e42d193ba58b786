//! Folders as inputs and as outputs.

use std::os::unix::fs::symlink;

use meshwork_blob::folder::Root;

use super::*;

/// Makes a folder of small and large files, a program, a link and an empty directory.
fn fill(dir: &Path) {
    fs::create_dir_all(dir.join("sub/empty")).unwrap();
    fs::write(dir.join("small"), "small").unwrap();
    fs::write(dir.join("sub/large"), bytes(100_000)).unwrap();
    fs::write(dir.join("sub/same"), bytes(100_000)).unwrap();
    fs::write(dir.join("program"), "#!/bin/sh").unwrap();
    fs::set_permissions(dir.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("sub/large", dir.join("link")).unwrap();
}

/// The paths in a folder with what is there, in order.
fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let facts = fs::symlink_metadata(&path).unwrap();
            let what = if facts.is_dir() {
                open.push(path.clone());
                "folder".to_owned()
            } else if facts.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                let executable = mode(&path) & 0o100 != 0;
                format!("{} {executable}", BlobHash::of(&fs::read(&path).unwrap()))
            };
            found.push(format!("{}: {what}", path.strip_prefix(dir).unwrap().display()));
        }
    }
    found.sort();
    found
}

/// Outputs what is in the folder that the input names, or the input if it is a folder.
async fn folders(cx: TaskContext, input: Input) -> Result<Output, Failure> {
    if input.is_folder() {
        let dir = input.path()?;
        assert_eq!(dir, input.path()?, "unpacked once");
        assert!(input.reader().is_err() && input.bytes().is_err());
        return Ok(listing(&dir).join("\n").into());
    }
    fill(&cx.work_dir()?);
    Ok(Output::folder(str::from_utf8(&input.bytes()?)?))
}

#[tokio::test]
async fn folder_goes_out_and_in_again() {
    let home = Home::new();
    let mut rig = home.rig(folders);
    let ended = rig.ended(work(NAME, "")).await;
    let AttemptEnd::Output(Payload::Blob(folder)) = ended.end else { panic!("no folder") };
    assert_eq!((folder.form, folder.size), (BlobForm::Folder, 200_014));
    // The root, one part, and one blob for both large files.
    assert_eq!(ended.blobs.len(), 3);
    home.store().publish(ended.blobs).unwrap();
    assert_eq!((home.folders().len(), home.drafts()), (0, 0));

    let expected = tempfile::tempdir().unwrap();
    fill(expected.path());
    let seen = output(rig.run(work(NAME, Payload::Blob(folder))).await);
    assert_eq!(str::from_utf8(&seen).unwrap(), listing(expected.path()).join("\n"));
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

/// `debug/pack` puts a file and a folder into a folder.
#[tokio::test]
async fn input_is_packed() {
    let home = Home::new();
    let registry = || Registry::new().with_debug(None).unwrap();
    let mut rig = Rig::with_files(registry(), 1, Some(home.files.clone()));
    let ended = rig.ended(work("debug/pack", home.blob(&bytes(100_000), false))).await;
    let AttemptEnd::Output(Payload::Blob(folder)) = ended.end else { panic!("no folder") };
    assert_eq!((folder.form, folder.size), (BlobForm::Folder, 100_000));
    home.store().publish(ended.blobs).unwrap();
    let ended = rig.ended(work("debug/pack", Payload::Blob(folder.clone()))).await;
    let AttemptEnd::Output(Payload::Blob(outer)) = ended.end else { panic!("no folder") };
    assert_eq!((outer.form, outer.size), (BlobForm::Folder, 100_000));
    assert_ne!(outer.hash, folder.hash);
    home.store().publish(ended.blobs).unwrap();
    let mut listing = home.rig(folders);
    let seen = output(listing.run(work(NAME, Payload::Blob(outer))).await);
    let hash = BlobHash::of(&bytes(100_000));
    let expected = format!("input/input: {hash} false\ninput: folder");
    assert_eq!(str::from_utf8(&seen).unwrap(), expected);
}

#[tokio::test]
async fn same_folder_has_the_same_hash() {
    let home = Home::new();
    let mut rig = home.rig(folders);
    let first = rig.run(work(NAME, ".")).await;
    assert_eq!(rig.run(work(NAME, "")).await, first);
    assert_ne!(rig.run(work(NAME, "sub")).await, first);
}

#[tokio::test]
async fn folder_that_a_handler_changes_is_as_before_for_the_next_attempt() {
    let home = Home::new();
    let mut rig = home.rig(|cx, input| async move {
        if !input.is_folder() {
            fill(&cx.work_dir()?);
            return Ok(Output::folder(""));
        }
        let dir = input.path()?;
        let seen = listing(&dir).join("\n");
        fs::write(dir.join("sub/large"), "changed")?;
        fs::remove_file(dir.join("sub/same"))?;
        Ok(seen.into())
    });
    let ended = rig.ended(work(NAME, "")).await;
    let AttemptEnd::Output(Payload::Blob(folder)) = ended.end else { panic!("no folder") };
    home.store().publish(ended.blobs).unwrap();
    let first = rig.ended(work(NAME, Payload::Blob(folder.clone()))).await;
    assert!(first.written.is_empty(), "its files are the attempt's own");
    let second = rig.run(work(NAME, Payload::Blob(folder))).await;
    assert_eq!(output(first.end), output(second));
}

#[tokio::test]
async fn output_folder_outside_or_with_a_link_out_is_refused() {
    let home = Home::new();
    let mut rig = home.rig(|cx, input| async move {
        let dir = cx.work_dir()?;
        fs::create_dir(dir.join("leads-out"))?;
        symlink("/etc", dir.join("leads-out/etc"))?;
        symlink("/etc", dir.join("etc"))?;
        fs::write(dir.join("file"), "")?;
        Ok(Output::folder(str::from_utf8(&input.bytes()?)?))
    });
    for (name, why) in [
        ("/etc", "not in the attempt's work folder"),
        ("..", "not in the attempt's work folder"),
        ("etc", "not a folder"),
        ("file", "not a folder"),
        ("leads-out", "leads-out/etc"),
        ("missing", "No such file"),
    ] {
        let failure = failure(rig.run(work(NAME, name)).await);
        assert!(failure.message.contains(why), "{name}: {failure}");
    }
    assert_eq!((home.folders().len(), home.drafts()), (0, 0));
}

#[tokio::test]
async fn folder_that_lacks_a_blob_is_a_lost_input() {
    let home = Home::new();
    let mut rig = home.rig(folders);
    let ended = rig.ended(work(NAME, "")).await;
    let AttemptEnd::Output(Payload::Blob(folder)) = ended.end else { panic!("no folder") };
    let large = BlobHash::of(&bytes(100_000));
    let some: Vec<_> = ended.blobs.into_iter().filter(|blob| blob.hash() != large).collect();
    home.store().publish(some).unwrap();
    let failure = failure(rig.run(work(NAME, Payload::Blob(folder))).await);
    assert_eq!(failure.code, FailureCode::InputLost);
    assert!(failure.message.contains("does not have blob"), "{failure}");
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn bytes_that_are_no_folder_are_bad_input() {
    let home = Home::new();
    let mut rig = home.rig(folders);
    let Payload::Blob(file) = home.blob(b"no folder", false) else { unreachable!() };
    assert!(Root::decode(b"no folder").is_err());
    let lied = BlobRef { form: BlobForm::Folder, list: file.size as u32, ..*file };
    let failure = failure(rig.run(work(NAME, Payload::from(lied))).await);
    assert_eq!(failure.code, FailureCode::BadInput);
}

#[tokio::test]
async fn folder_of_many_files_holds_no_descriptors() {
    let home = Home::new();
    let mut rig = home.rig(|cx, _input| async move {
        for number in 0..300 {
            fs::write(
                cx.work_dir()?.join(number.to_string()),
                vec![number as u8; 17_000 + number],
            )?;
        }
        Ok(Output::folder(""))
    });
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let ended = rig.ended(work(NAME, "")).await;
    assert_eq!(ended.blobs.len(), 302);
    assert!(open() < before + 20, "{} descriptors", open() - before);
}
