//! Inputs on their way to workers, and outputs on their way back.

use super::{
    blobs::{SIZE, add, blob, output_blob, request, task_with},
    *,
};
use crate::{
    BlobRef, FailureCode, RetryPolicy, TaskLimits,
    engine::{BlobEvent, BlobRequest, FetchFault, NewBlob, view::Stage},
    limits,
};

/// Node 0 with workers that speak the version of blobs.
pub(super) fn connected(slots: &[u32]) -> Net {
    let mut net = Net::connected(slots);
    for index in 0..net.nodes.len() {
        for other in 0..net.nodes.len() {
            if index != other {
                let peer = net.nodes[other].id;
                net.feed(index, Input::PeerSpeaks { peer, version: 2 });
            }
        }
    }
    net
}

/// Node 1 is a worker of the nodes 0 and 2.
pub(super) fn two_owners() -> Net {
    let mut net = connected(&[2, 0]);
    net.connect(1, 2);
    for (at, other) in [(1, 2), (2, 1)] {
        let peer = net.nodes[other].id;
        net.feed(at, Input::PeerSpeaks { peer, version: 2 });
    }
    net
}

pub(super) fn event(net: &mut Net, index: usize, event: BlobEvent) {
    net.feed(index, Input::BlobEvent(event));
    net.settle();
}

/// The oldest fetch of a node ends well.
pub(super) fn fetched(net: &mut Net, index: usize) -> BlobRef {
    let (blob, _) = net.nodes[index].fetching.remove(0);
    let new = NewBlob { hash: blob.hash, size: blob.size, serial: 7, links: Vec::new() };
    event(net, index, BlobEvent::Fetched { hash: blob.hash, blobs: vec![new] });
    blob
}

pub(super) fn failed(net: &mut Net, index: usize, fault: FetchFault) {
    let (blob, _) = net.nodes[index].fetching.remove(0);
    event(net, index, BlobEvent::FetchFailed { hash: blob.hash, fault });
}

pub(super) const UNREACHABLE: FetchFault = FetchFault::Unreachable { retry_after: Duration::ZERO };

#[test]
fn input_is_fetched_without_a_slot() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let large = net.submit(task_with(input));
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)]);
    assert_eq!(net.nodes[1].running.len(), 0);
    let small = net.submit(task("text/a"));
    assert_eq!(net.nodes[1].running.len(), 1, "the only slot is free meanwhile");
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1, "it waits for the slot");
    net.finish(1, output("small"));
    net.finish(1, output("large"));
    assert_eq!((net.state(large), net.state(small)), ("succeeded", "succeeded"));
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
}

#[test]
fn time_limit_runs_from_the_start_of_the_handler() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let limits = TaskLimits { attempt: Some(Duration::from_secs(5)), ..TaskLimits::default() };
    let id = net.submit(Task { limits, ..task_with(input) });
    for _ in 0..20 {
        net.pass(Duration::from_secs(3));
    }
    assert_eq!(net.state(id), "running", "the input takes a minute");
    fetched(&mut net, 1);
    net.pass(Duration::from_secs(11));
    assert_eq!(net.state(id), "running");
    net.pass(Duration::from_secs(2));
    assert_eq!(net.nodes[1].stopped.len(), 1, "twice its limit and the grace are over");
}

#[test]
fn task_succeeds_once_its_output_is_here() {
    let mut net = connected(&[1]);
    let id = net.submit(task("text/a"));
    let out = blob("out");
    let run = net.nodes[1].running[0].0;
    let new = NewBlob { hash: out.hash, size: SIZE, serial: 1, links: Vec::new() };
    let took = Duration::from_millis(1);
    net.feed(1, Input::Collected { run, blobs: vec![new], output: out, took });
    net.settle();
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[0].fetching, [(out, net.nodes[1].id)]);
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    assert!(net.nodes[1].engine.may_fetch(&owner, &out.hash));
    assert!(!net.nodes[1].engine.may_fetch(&peer(9), &out.hash));
    net.pass(limits::BLOB_LEASE + Duration::from_secs(1));
    assert_eq!(net.state(id), "running", "a long transfer is no lost worker");
    fetched(&mut net, 0);
    assert_eq!(net.end(id).map(|end| end.state().as_str()), Some("succeeded"));
    net.pass(Duration::from_secs(1));
    assert!(!net.nodes[1].engine.may_fetch(&owner, &out.hash), "the owner has it");
    assert!(!net.nodes[0].engine.may_fetch(&worker, &out.hash), "a result is no input");
}

#[test]
fn worker_lost_while_its_output_is_fetched_is_a_lost_attempt() {
    let mut net = connected(&[1, 1]);
    let id = net.submit(task("text/a"));
    let at = if net.nodes[1].running.is_empty() { 2 } else { 1 };
    net.finish(at, output_blob(blob("out")));
    assert_eq!(net.nodes[0].fetching.len(), 1);
    net.disconnect(0, at);
    net.pass(Duration::from_secs(60));
    assert_eq!(net.nodes[0].fetching, [], "the fetch is stopped");
    assert_eq!(net.nodes[0].engine.blob_space().reserved, 0);
    net.finish(3 - at, output("again"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn cancelled_task_stops_the_fetch_of_its_output() {
    let mut net = connected(&[1]);
    let id = net.submit(task("text/a"));
    net.finish(1, output_blob(blob("out")));
    net.feed(
        0,
        Input::Cancel {
            id,
            by: crate::CancelledBy::Submitter,
            reason: "enough".to_owned(),
            token: Token(99),
        },
    );
    net.settle();
    assert_eq!(net.state(id), "cancelled");
    assert_eq!(net.nodes[0].fetching, []);
    assert_eq!(net.nodes[0].engine.blob_space().reserved, 0);
}

#[test]
fn cancelled_attempt_stops_its_fetch() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    net.feed(
        0,
        Input::Cancel {
            id,
            by: crate::CancelledBy::Submitter,
            reason: "enough".to_owned(),
            token: Token(99),
        },
    );
    net.settle();
    assert_eq!(net.state(id), "cancelled");
    assert_eq!(net.nodes[1].fetching, []);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
    assert_eq!(net.nodes[1].engine.blob_space().lost, 0, "nothing holds it now");
}

#[test]
fn one_blob_is_fetched_once_for_all_attempts() {
    let mut net = connected(&[4]);
    let input = add(&mut net, "in");
    let ids: Vec<TaskId> = (0..3).map(|_| net.submit(task_with(input))).collect();
    assert_eq!(net.nodes[1].fetching.len(), 1);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 3);
    for _ in 0..3 {
        net.finish(1, output("x"));
    }
    assert!(ids.iter().all(|id| net.state(*id) == "succeeded"));
    let again = net.submit(task_with(input));
    assert_eq!(net.nodes[1].fetching, [], "a second task moves nothing");
    net.finish(1, output("x"));
    assert_eq!(net.state(again), "succeeded");
}

#[test]
fn blob_of_one_owner_is_not_used_for_another() {
    let mut net = two_owners();
    let input = add(&mut net, "secret");
    net.submit_to(0, task_with(input), &[1]);
    fetched(&mut net, 1);
    net.finish(1, output("x"));

    // Node 2 knows the hash alone. Its store must claim the blob to submit a task with it.
    let new = NewBlob { hash: input.hash, size: SIZE, serial: 1, links: Vec::new() };
    let store = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(2, Input::Blobs { request: store, token: Token(5) });
    net.submit_to(2, task_with(input), &[1]);
    assert_eq!(net.nodes[1].running.len(), 0);
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[2].id)], "it has to show the bytes");
    failed(&mut net, 1, FetchFault::Wrong);
    net.pass(limits::FETCH_REST);
    failed(&mut net, 1, FetchFault::Wrong);
    assert_eq!(net.nodes[1].running.len(), 0);
    assert_eq!(net.nodes[2].engine.accounts().failed, 1);
}

#[test]
fn input_that_its_owner_lost_fails_the_task() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let retry = RetryPolicy { attempts: 5, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task_with(input) });
    failed(&mut net, 1, FetchFault::Refused);
    assert_eq!(net.state(id), "running", "it is asked once more");
    net.pass(limits::FETCH_REST);
    failed(&mut net, 1, FetchFault::Refused);
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("{:?}", net.end(id)) };
    assert_eq!(failure.code, FailureCode::InputLost);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
}

#[test]
fn unreachable_provider_is_tried_again_with_longer_rests() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    net.submit(task_with(input));
    for rest in [1, 2, 4, 8, 16, 30, 30] {
        failed(&mut net, 1, UNREACHABLE);
        net.pass(Duration::from_secs(rest) - Duration::from_millis(1));
        assert_eq!(net.nodes[1].fetching, [], "a rest of {rest} s");
        net.pass(Duration::from_millis(1));
        assert_eq!(net.nodes[1].fetching.len(), 1, "a rest of {rest} s");
    }
    event(&mut net, 1, BlobEvent::FetchProgress { hash: input.hash, bytes: SIZE / 2 });
    let id = net.nodes[0].engine.read(net.now).tasks(&Default::default());
    let Some(Known::Here(view)) = id.into_iter().next() else { panic!() };
    assert_eq!(view.progress.map(|progress| progress.fraction), Some(0.5));
    failed(&mut net, 1, UNREACHABLE);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.nodes[1].fetching.len(), 1, "bytes have arrived since");
}

#[test]
fn worker_without_room_refuses_before_a_byte_travels() {
    let mut net = connected(&[1, 1]);
    net.nodes[1].engine.set_blob_budget(SIZE / 2);
    net.nodes[2].engine.set_blob_budget(SIZE / 2);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    assert_eq!(net.state(id), "queued");
    assert!(net.nodes[1].fetching.is_empty() && net.nodes[2].fetching.is_empty());
    net.nodes[2].engine.set_blob_budget(2 * SIZE);
    net.pass(Duration::from_secs(10));
    assert_eq!(net.nodes[2].fetching.len(), 1);
    fetched(&mut net, 2);
    net.finish(2, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn worker_may_fetch_what_its_open_assignments_name() {
    let mut net = connected(&[1]);
    let file = |text: &str| blob(text).hash;
    let named = |text: &str, links: &[&str]| NewBlob {
        hash: file(text),
        size: SIZE,
        serial: 1,
        links: links.iter().map(|link| file(link)).collect(),
    };
    let all = vec![
        named("file", &[]),
        named("other", &[]),
        named("part", &["file"]),
        named("root", &["part"]),
    ];
    request(&mut net, BlobRequest::Store { blobs: all, reserved: 0 }).unwrap();
    let worker = net.nodes[1].id;
    let may = |net: &Net, text: &str| net.nodes[0].engine.may_fetch(&worker, &file(text));
    assert!(!may(&net, "root"));
    let folder = BlobRef { form: crate::BlobForm::Folder, list: SIZE as u32, ..blob("root") };
    net.submit(task_with(folder));
    let now = ["root", "part", "file", "other", "nowhere"].map(|text| may(&net, text));
    assert_eq!(now, [true, true, true, false, false]);
    net.nodes[1].fetching.clear();
    event(
        &mut net,
        1,
        BlobEvent::Fetched {
            hash: file("root"),
            blobs: vec![named("file", &[]), named("part", &["file"]), named("root", &["part"])],
        },
    );
    net.finish(1, output("x"));
    assert!(!may(&net, "root") && !may(&net, "file"));
}

#[test]
fn draining_worker_hands_back_what_it_fetches() {
    let mut net = connected(&[1, 1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    let at = if net.nodes[1].fetching.is_empty() { 2 } else { 1 };
    net.feed(at, Input::Drain { on: true });
    net.settle();
    assert_eq!(net.nodes[at].fetching, []);
    net.pass(Duration::from_secs(10));
    fetched(&mut net, 3 - at);
    net.finish(3 - at, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn each_owner_shows_the_bytes_although_another_sends_them_now() {
    let mut net = two_owners();
    let input = add(&mut net, "secret");
    net.submit_to(0, task_with(input), &[1]);
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)]);

    // Node 2 knows the hash alone, and gives it to the worker meanwhile.
    let new = NewBlob { hash: input.hash, size: SIZE, serial: 1, links: Vec::new() };
    let store = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(2, Input::Blobs { request: store, token: Token(5) });
    net.submit_to(2, task_with(input), &[1]);
    assert_eq!(net.nodes[1].fetching.len(), 1);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 2 * SIZE);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1, "only the first owner has shown it");
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[2].id)]);
    for _ in 0..2 {
        failed(&mut net, 1, FetchFault::Wrong);
        net.pass(limits::FETCH_REST);
    }
    assert_eq!((net.nodes[1].running.len(), net.nodes[2].engine.accounts().failed), (1, 1));
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
}

#[test]
fn next_owner_is_asked_when_the_first_needs_the_blob_no_more() {
    let mut net = two_owners();
    let input = add(&mut net, "shared");
    let first = net.submit_to(0, task_with(input), &[1]);
    let new = NewBlob { hash: input.hash, size: SIZE, serial: 1, links: Vec::new() };
    let store = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(2, Input::Blobs { request: store, token: Token(5) });
    net.submit_to(2, task_with(input), &[1]);
    net.feed(
        0,
        Input::Cancel {
            id: first,
            by: crate::CancelledBy::Submitter,
            reason: "enough".to_owned(),
            token: Token(99),
        },
    );
    net.settle();
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[2].id)]);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
}

#[test]
fn collected_output_frees_its_place_at_the_worker() {
    let mut net = connected(&[1]);
    // As many tasks as the worker takes, and one more.
    let mut ids = vec![net.submit(task("text/a"))];
    while net.state(ids[ids.len() - 1]) == "running" {
        ids.push(net.submit(task("text/a")));
    }
    net.finish(1, output_blob(blob("out")));
    assert_eq!(net.state(ids[0]), "running");
    let before = net.nodes[0].engine.accounts().queued;
    fetched(&mut net, 0);
    assert_eq!(net.state(ids[0]), "succeeded");
    assert!(net.nodes[0].engine.accounts().queued < before, "the next task is sent");
}

#[test]
fn worker_that_never_sends_its_output_loses_the_attempt() {
    let mut net = connected(&[1]);
    let id = net.submit(task("text/a"));
    net.finish(1, output_blob(blob("out")));
    for _ in 0..limits::FETCH_TRIES {
        failed(&mut net, 0, UNREACHABLE);
        net.pass(limits::FETCH_REST_MOST);
    }
    assert_eq!(net.nodes[1].running.len(), 0, "it may still come");
    event(&mut net, 0, BlobEvent::FetchProgress { hash: blob("out").hash, bytes: 1 });
    for _ in 0..limits::FETCH_TRIES {
        failed(&mut net, 0, UNREACHABLE);
        net.pass(limits::FETCH_REST_MOST);
    }
    assert_eq!(net.nodes[1].running.len(), 0, "a byte has come");
    failed(&mut net, 0, UNREACHABLE);
    assert_eq!(net.nodes[0].engine.blob_space().reserved, 0);
    net.pass(limits::FETCH_REST_MOST);
    assert_eq!(net.nodes[1].running.len(), 1, "the task runs again");
    net.finish(1, output("small"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn output_larger_than_all_space_is_a_lost_attempt() {
    let mut net = connected(&[1]);
    net.nodes[0].engine.set_blob_budget(SIZE / 2);
    let id = net.submit(task("text/a"));
    for _ in 0..20 {
        if !net.nodes[1].running.is_empty() {
            net.finish(1, output_blob(blob("out")));
        }
        net.pass(limits::FETCH_REST_MOST);
    }
    assert_eq!(net.state(id), "failed", "its worker does not claim it for ever");
}

#[test]
fn request_for_a_file_of_very_many_folders_is_bounded() {
    let mut net = connected(&[1]);
    let count = limits::BLOB_ANCESTORS * 3;
    let named = |text: &str, links: &[&str]| NewBlob {
        hash: blob(text).hash,
        size: 1,
        serial: 1,
        links: links.iter().map(|link| blob(link).hash).collect(),
    };
    let parts: Vec<String> = (0..count).map(|number| format!("part {number}")).collect();
    let mut all = vec![named("file", &[])];
    all.extend(parts.iter().map(|part| named(part, &["file"])));
    all.push(named("root", &[&parts[count - 1]]));
    request(&mut net, BlobRequest::Store { blobs: all, reserved: 0 }).unwrap();
    let worker = net.nodes[1].id;
    let file = blob("file").hash;
    assert!(!net.nodes[0].engine.may_fetch(&worker, &file));
    net.submit(task_with(BlobRef { form: crate::BlobForm::Folder, list: 1, ..blob("root") }));
    assert!(net.nodes[0].engine.may_fetch(&worker, &file), "the latest folder is looked at first");
}

#[test]
fn peer_that_is_back_is_asked_at_once() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    net.submit(task_with(input));
    for _ in 0..4 {
        failed(&mut net, 1, UNREACHABLE);
        net.pass(Duration::from_secs(8));
    }
    failed(&mut net, 1, UNREACHABLE);
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.settle();
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)], "it would rest for 16 s");
}

#[test]
fn files_under_way_are_stages_with_progress_in_bytes() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    let seen = |net: &Net| {
        let view = net.view(id).unwrap();
        (view.stage, view.progress.map(|progress| progress.message))
    };
    event(&mut net, 1, BlobEvent::FetchProgress { hash: input.hash, bytes: 10 });
    let half = (Some(Stage::Staging), Some(format!("input: 10 of {SIZE} bytes")));
    assert_eq!(seen(&net), half);
    fetched(&mut net, 1);
    assert_eq!(seen(&net), (None, None), "the handler has not said anything");
    net.finish(1, output_blob(blob("out")));
    event(&mut net, 0, BlobEvent::FetchProgress { hash: blob("out").hash, bytes: SIZE / 2 });
    let half = format!("output: {} of {SIZE} bytes", SIZE / 2);
    assert_eq!(seen(&net), (Some(Stage::Collecting), Some(half)));
    fetched(&mut net, 0);
    assert_eq!(seen(&net), (None, None));
}

#[test]
fn program_and_file_with_the_same_bytes_are_fetched_once() {
    let mut net = connected(&[2]);
    let file = add(&mut net, "in");
    let program = BlobRef::file(file.hash, file.size, true);
    let ids = [net.submit(task_with(file)), net.submit(task_with(program))];
    assert_eq!(net.nodes[1].fetching, [(file, net.nodes[0].id)]);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, SIZE);
    fetched(&mut net, 1);
    net.finish(1, output("first"));
    net.finish(1, output("second"));
    assert_eq!(ids.map(|id| net.state(id)), ["succeeded"; 2]);
}
