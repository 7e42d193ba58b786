//! Inputs and results that are blobs: which blobs tasks keep, and which workers get such tasks.

use super::*;
use crate::{
    BlobHash, BlobRef,
    engine::{BlobReply, BlobRequest, NewBlob, view::Obstacle},
    limits,
};

pub(super) const SIZE: u64 = 1_000_000;

pub(super) fn blob(text: &str) -> BlobRef {
    BlobRef::file(BlobHash::of(text.as_bytes()), SIZE, false)
}

/// A node that runs its own tasks, with room for some blobs.
fn alone(room: u64) -> Net {
    let mut net = Net::new(&[]);
    net.nodes[0] = Node::new(0, 4, 1, net.now, Duration::ZERO);
    net.nodes[0].engine.set_blob_budget(room * 1_003_520);
    net
}

pub(super) fn request(net: &mut Net, request: BlobRequest) -> Result<BlobReply, crate::Reason> {
    let token = Token(1_000_000);
    net.feed(0, Input::Blobs { request, token });
    net.settle();
    let replies = &mut net.nodes[0].replies;
    let at = replies.iter().position(|(of, _)| *of == token).expect("an answer");
    match replies.remove(at).1 {
        Reply::Blobs(reply) => Ok(reply),
        Reply::Refused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

pub(super) fn add(net: &mut Net, text: &str) -> BlobRef {
    let blob = blob(text);
    let new = NewBlob { hash: blob.hash, size: SIZE, serial: 1, links: Vec::new() };
    let stored = request(net, BlobRequest::Store { blobs: vec![new], reserved: 0 });
    assert_eq!(stored, Ok(BlobReply::Stored));
    blob
}

pub(super) fn task_with(blob: BlobRef) -> Task {
    task("text/a").with_input(blob)
}

/// Whether the blob is still there after everything that nothing needs has left.
fn is_needed(net: &mut Net, blob: &BlobRef) -> bool {
    net.pass(limits::BLOB_LEASE);
    request(net, BlobRequest::Collect).unwrap();
    net.nodes[0].engine.blobs().any(|known| known.hash == blob.hash)
}

pub(super) fn output_blob(blob: BlobRef) -> AttemptEnd {
    AttemptEnd::Output(blob.into())
}

#[test]
fn task_keeps_its_input_and_then_its_output() {
    let mut net = alone(10);
    let (input, output) = (add(&mut net, "in"), add(&mut net, "out"));
    let id = net.submit(task_with(input));
    assert!(is_needed(&mut net, &input));
    // It was removed with everything that nothing needed.
    add(&mut net, "out");
    net.finish(0, output_blob(output));
    assert_eq!(net.state(id), "succeeded");
    assert!(is_needed(&mut net, &output));
    assert!(!is_needed(&mut net, &input), "a task with a result is not repeated");
    net.pass(limits::KEEP_RESULTS + Duration::from_secs(3600));
    assert_eq!(net.state(id), "forgotten");
    assert!(!is_needed(&mut net, &output));
    assert_eq!(net.nodes[0].engine.blob_space().used, 0);
}

#[test]
fn failed_task_keeps_its_input_to_be_repeated() {
    let mut net = alone(10);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    let failure = crate::TaskFailure::new(crate::FailureCode::Permanent, "no");
    net.finish(0, AttemptEnd::Failed(failure));
    assert_eq!(net.state(id), "failed");
    assert!(is_needed(&mut net, &input));
    let Ok(Known::Here((again, _))) = net.nodes[0].engine.read(net.now).again(id, TaskId::new())
    else {
        panic!()
    };
    assert_eq!(again.input.blob(), Some(input));
    net.submit(again);
}

#[test]
fn references_survive_a_restart() {
    let mut net = alone(10);
    let blobs = ["open", "failed", "out", "unused"].map(|text| add(&mut net, text));
    let [open, failed, out, unused] = blobs;
    net.submit(task_with(failed));
    let failure = crate::TaskFailure::new(crate::FailureCode::Permanent, "no");
    net.finish(0, AttemptEnd::Failed(failure));
    net.submit(task("text/a"));
    net.finish(0, output_blob(out));
    net.submit(task_with(open));
    net.restart(0);
    for (blob, needed) in [(open, true), (failed, true), (out, true), (unused, false)] {
        assert_eq!(is_needed(&mut net, &blob), needed);
    }
}

#[test]
fn archived_tasks_keep_their_blobs_over_a_restart() {
    let mut net = alone(10);
    let (failed, out) = (add(&mut net, "failed"), add(&mut net, "out"));
    net.submit(task_with(failed));
    let failure = crate::TaskFailure::new(crate::FailureCode::Permanent, "no");
    net.finish(0, AttemptEnd::Failed(failure));
    net.submit(task("text/a"));
    net.finish(0, output_blob(out));
    // So small a limit that the next end makes a volume due.
    net.nodes[0].engine.node.config.keep_bytes = 8 * limits::ENDED_WEIGHT as u64;
    net.submit(task("text/a"));
    net.finish(0, output("x"));
    assert_eq!(net.nodes[0].ledger.archived_len(), 3);
    assert!(is_needed(&mut net, &failed) && is_needed(&mut net, &out));
    net.restart(0);
    assert!(is_needed(&mut net, &failed) && is_needed(&mut net, &out));
    net.pass(limits::KEEP_RESULTS + Duration::from_secs(3600));
    assert!(!is_needed(&mut net, &failed) && !is_needed(&mut net, &out));
    net.restart(0);
    assert_eq!(net.nodes[0].engine.blobs().count(), 0, "the removal is in the journal");
}

#[test]
fn task_with_unknown_input_is_refused() {
    let mut net = alone(10);
    let id = net.submit(task_with(blob("never added")));
    let missing = crate::Reason::BlobMissing { hash: blob("never added").hash };
    assert_eq!(net.nodes[0].replies.pop().unwrap().1, Reply::Refused(missing));
    assert_eq!(net.state(id), "unknown");
}

#[test]
fn blob_of_an_open_task_cannot_be_removed() {
    let mut net = alone(10);
    let input = add(&mut net, "in");
    net.submit(task_with(input));
    let removed = request(&mut net, BlobRequest::Remove { hash: input.hash });
    assert_eq!(removed, Err(crate::Reason::BlobInUse { hash: input.hash }));
    net.finish(0, output("x"));
    let removed = request(&mut net, BlobRequest::Remove { hash: input.hash });
    assert_eq!(removed, Ok(BlobReply::Removed { bytes: 1_003_520 }));
    assert_eq!(net.nodes[0].removed.len(), 1);
    let again = request(&mut net, BlobRequest::Remove { hash: input.hash });
    assert_eq!(again, Err(crate::Reason::BlobMissing { hash: input.hash }));
}

#[test]
fn pin_survives_a_restart() {
    let mut net = alone(10);
    let pinned = add(&mut net, "pinned");
    request(&mut net, BlobRequest::Pin { hash: pinned.hash, pinned: true }).unwrap();
    net.restart(0);
    assert!(is_needed(&mut net, &pinned));
    request(&mut net, BlobRequest::Pin { hash: pinned.hash, pinned: false }).unwrap();
    assert!(!is_needed(&mut net, &pinned));
}

#[test]
fn stored_blob_is_reported_once_its_record_is_on_disk() {
    let mut net = alone(10);
    net.disk = false;
    let new = NewBlob { hash: blob("in").hash, size: SIZE, serial: 1, links: Vec::new() };
    let request = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(0, Input::Blobs { request, token: Token(7) });
    net.settle();
    assert_eq!(net.nodes[0].replies, []);
    net.persist(0);
    assert_eq!(net.nodes[0].replies, [(Token(7), Reply::Blobs(BlobReply::Stored))]);
}

#[test]
fn file_of_a_removed_blob_stays_until_the_record_is_on_disk() {
    let mut net = alone(10);
    let unused = add(&mut net, "unused");
    net.disk = false;
    net.feed(
        0,
        Input::Blobs { request: BlobRequest::Remove { hash: unused.hash }, token: Token(7) },
    );
    net.settle();
    assert_eq!((net.nodes[0].removed.len(), net.nodes[0].replies.len()), (0, 0));
    net.persist(0);
    assert_eq!((net.nodes[0].removed.len(), net.nodes[0].replies.len()), (1, 1));
}

#[test]
fn many_submits_lose_no_input_to_eviction() {
    // Room for ten blobs, and a hundred tasks with an input of their own.
    let mut net = alone(10);
    let mut refused = 0;
    for number in 0..100 {
        let input = loop {
            let blob = blob(&format!("input {number}"));
            let new = NewBlob { hash: blob.hash, size: SIZE, serial: 1, links: Vec::new() };
            match request(&mut net, BlobRequest::Store { blobs: vec![new], reserved: 0 }) {
                Ok(_) => break blob,
                Err(crate::Reason::NoSpace { .. }) => {
                    refused += 1;
                    net.finish(0, output("x"));
                    net.pass(limits::BLOB_LEASE);
                }
                Err(other) => panic!("{other}"),
            }
        };
        net.submit(task_with(input));
        request(&mut net, BlobRequest::Collect).unwrap();
        let known = |hash: BlobHash| net.nodes[0].engine.blobs().any(|blob| blob.hash == hash);
        for (_, _, work) in &net.nodes[0].running {
            assert!(known(work.input.blob().unwrap().hash), "a running task has lost its input");
        }
        assert_eq!(net.nodes[0].engine.blob_space().lost, 0);
    }
    assert!(refused >= 80, "{refused}");
}

#[test]
fn worker_of_version_1_gets_no_task_with_a_blob() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.set_blob_budget(u64::MAX);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    assert_eq!(net.state(id), "queued");
    let why = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    let speaks = Obstacle::Version { speaks: 1, needs: 2 };
    assert!(why.peers.iter().any(|(_, obstacle)| *obstacle == speaks), "{why:?}");
    let plain = net.submit(task("text/a"));
    assert_eq!(net.state(plain), "running");
}

/// A blob with the serial of a new file.
fn file(text: &str, serial: u64, links: &[&str]) -> NewBlob {
    let links = links.iter().map(|link| blob(link).hash).collect();
    NewBlob { hash: blob(text).hash, size: SIZE, serial, links }
}

fn store(net: &mut Net, blobs: Vec<NewBlob>) -> Result<BlobReply, crate::Reason> {
    request(net, BlobRequest::Store { blobs, reserved: 0 })
}

#[test]
fn refused_store_removes_no_blob_that_was_there() {
    let mut net = alone(1);
    let known = add(&mut net, "known");
    let refused = store(&mut net, vec![file("known", 2, &[]), file("new", 3, &[])]);
    assert!(matches!(refused, Err(crate::Reason::NoSpace { .. })), "{refused:?}");
    let removed = |net: &Net| -> Vec<(BlobHash, u64)> {
        net.nodes[0].removed.iter().map(|blob| (blob.hash, blob.serial)).collect()
    };
    assert_eq!(removed(&net), [(blob("new").hash, 3)]);
    net.pass(limits::BLOB_LEASE);
    request(&mut net, BlobRequest::Collect).unwrap();
    assert_eq!(removed(&net).pop(), Some((known.hash, 2)), "its file has the new serial");
}

#[test]
fn stored_blobs_make_no_room_for_those_they_come_with() {
    let mut net = alone(1);
    let known = add(&mut net, "known");
    net.pass(limits::BLOB_LEASE);
    for blobs in
        [vec![file("known", 2, &[]), file("new", 3, &[])], vec![file("folder", 4, &["known"])]]
    {
        let refused = store(&mut net, blobs);
        assert!(matches!(refused, Err(crate::Reason::NoSpace { .. })), "{refused:?}");
        assert!(net.nodes[0].engine.blobs().any(|blob| blob.hash == known.hash));
    }
}

#[test]
fn blob_that_leaves_and_comes_back_in_one_pass_survives_a_restart() {
    let mut net = alone(10);
    let known = add(&mut net, "known");
    let again = BlobRequest::Store { blobs: vec![file("known", 2, &[])], reserved: 0 };
    for (token, request) in [(7, BlobRequest::Remove { hash: known.hash }), (8, again)] {
        net.feed(0, Input::Blobs { request, token: Token(token) });
    }
    net.settle();
    let removed: Vec<u64> = net.nodes[0].removed.iter().map(|blob| blob.serial).collect();
    assert_eq!(removed, [1], "only the old file");
    net.restart(0);
    assert!(net.nodes[0].engine.blobs().any(|blob| blob.hash == known.hash));
}

#[test]
fn later_of_two_files_is_removed_whichever_is_reported_first() {
    let mut net = alone(10);
    store(&mut net, vec![file("same", 5, &[])]).unwrap();
    store(&mut net, vec![file("same", 4, &[])]).unwrap();
    request(&mut net, BlobRequest::Remove { hash: blob("same").hash }).unwrap();
    let removed: Vec<u64> = net.nodes[0].removed.iter().map(|blob| blob.serial).collect();
    assert_eq!(removed, [5]);
}

#[test]
fn refused_file_stays_until_the_removal_of_its_blob_is_recorded() {
    let mut net = alone(1);
    let known = add(&mut net, "known");
    net.disk = false;
    let again = vec![file("known", 2, &[]), file("new", 3, &[])];
    let requests = [
        BlobRequest::Remove { hash: known.hash },
        BlobRequest::Store { blobs: again, reserved: 0 },
    ];
    for (token, request) in (7..).zip(requests) {
        net.feed(0, Input::Blobs { request, token: Token(token) });
        net.settle();
    }
    assert_eq!(net.nodes[0].removed.len(), 0, "a crash now brings the blob back");
    net.persist(0);
    net.settle();
    let removed: Vec<u64> = net.nodes[0].removed.iter().map(|blob| blob.serial).collect();
    assert_eq!(removed, [1, 2, 3]);
}

#[test]
fn lost_file_takes_its_folders_with_it() {
    let mut net = alone(10);
    let all = [file("file", 1, &[]), file("part", 2, &["file"]), file("root", 3, &["part"])];
    store(&mut net, all.to_vec()).unwrap();
    let folder = BlobRef { form: crate::BlobForm::Folder, list: SIZE as u32, ..blob("root") };
    net.feed(0, Input::BlobEvent(crate::engine::BlobEvent::Lost { hash: blob("file").hash }));
    net.settle();
    net.submit(task_with(folder));
    let missing = crate::Reason::BlobMissing { hash: folder.hash };
    assert_eq!(net.nodes[0].replies.pop().unwrap().1, Reply::Refused(missing));
    assert_eq!(net.nodes[0].engine.blob_space().used, 0);
    store(&mut net, all.to_vec()).unwrap();
    net.submit(task_with(folder));
    assert_eq!(net.nodes[0].running.len(), 1);
}
