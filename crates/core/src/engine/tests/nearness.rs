//! Workers that have the input of a task already.

use super::{
    blobs::{SIZE, add, task_with},
    staging::{connected, fetched},
    *,
};
use crate::{BlobRef, FailureCode, TaskFailure, engine::view::Obstacle};

/// Node 2 runs a task with this input, and so has it.
fn brought_to_the_second(net: &mut Net) -> BlobRef {
    let input = add(net, "in");
    net.submit_to(0, task_with(input), &[2]);
    fetched(net, 2);
    net.finish(2, output("done"));
    input
}

#[test]
fn worker_that_has_the_input_is_chosen() {
    let mut net = connected(&[2, 2]);
    let input = brought_to_the_second(&mut net);
    net.submit(task_with(input));
    assert_eq!(net.nodes[1].fetching, []);
    assert_eq!(net.nodes[2].running.len(), 1);
    net.submit(task("text/a"));
    assert_eq!(net.nodes[1].running.len(), 1, "other tasks go where they went before");
}

#[test]
fn worker_whose_output_is_the_input_is_chosen() {
    let mut net = connected(&[2, 2]);
    net.submit_to(0, task("text/a"), &[2]);
    net.finish(2, blobs::output_blob(blobs::blob("out")));
    let out = fetched(&mut net, 0);
    net.submit(task_with(out));
    assert_eq!((net.nodes[1].fetching.len(), net.nodes[2].fetching.len()), (0, 1));
}

#[test]
fn explanation_says_what_a_free_worker_has_to_fetch() {
    let mut net = connected(&[2, 2]);
    let input = brought_to_the_second(&mut net);
    let id = net.submit(task_with(input));
    net.finish(2, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "not today")));
    let waits = net.view(id).unwrap().waiting.unwrap();
    let of = |index: usize| {
        let peer = net.nodes[index].id;
        waits.peers.iter().find(|(of, _)| *of == peer).map(|(_, obstacle)| obstacle)
    };
    assert!(matches!(of(1), Some(Obstacle::InputAway { bytes: SIZE, .. })), "{waits:?}");
    assert_eq!(of(2), Some(&Obstacle::None), "{waits:?}");
}
