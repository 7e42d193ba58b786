//! Folders of hostile owners: the list of a folder gives no right to what it names.

use super::{
    blobs::{SIZE, add, blob, request, task_with},
    staging::{connected, event, fetched, two_owners},
    *,
};
use crate::{
    BlobForm, BlobRef,
    engine::{BlobEvent, BlobRequest, NewBlob},
};

fn named(text: &str, links: &[&str]) -> NewBlob {
    let links = links.iter().map(|link| blob(link).hash).collect();
    NewBlob { hash: blob(text).hash, size: SIZE, serial: 1, links }
}

fn folder(text: &str) -> BlobRef {
    BlobRef { form: BlobForm::Folder, list: SIZE as u32, ..blob(text) }
}

fn store(net: &mut Net, index: usize, blobs: Vec<NewBlob>) {
    net.feed(
        index,
        Input::Blobs { request: BlobRequest::Store { blobs, reserved: 0 }, token: Token(5) },
    );
    net.settle();
}

#[test]
fn list_that_was_sent_as_a_file_opens_no_folder() {
    let mut net = two_owners();
    let secret = add(&mut net, "secret");
    net.submit_to(0, task_with(secret), &[1]);
    fetched(&mut net, 1);
    // Node 2 knows the hash of the secret, and makes a list of it. As files, its worker takes both.
    let lists = vec![named("secret", &[]), named("part", &["secret"]), named("root", &["part"])];
    store(&mut net, 2, lists);
    for list in ["part", "root"] {
        net.submit_to(2, task_with(blob(list)), &[1]);
        fetched(&mut net, 1);
        net.finish(1, output("x"));
    }
    net.submit_to(2, task_with(folder("root")), &[1]);
    assert_eq!(net.nodes[1].fetching, [(folder("root"), net.nodes[2].id)], "it shows all of it");
    let peer = net.nodes[2].id;
    let shown =
        |text: &str, as_list| net.nodes[1].engine.is_shown(&peer, &blob(text).hash, as_list);
    assert!(shown("root", false) && !shown("root", true));
    assert!(shown("part", false) && !shown("part", true));
    assert!(!shown("secret", false));
}

#[test]
fn folder_does_not_join_the_fetch_of_its_list_as_a_file() {
    let mut net = two_owners();
    store(&mut net, 2, vec![named("part", &[]), named("root", &["part"])]);
    net.submit_to(2, task_with(blob("root")), &[1]);
    net.submit_to(2, task_with(folder("root")), &[1]);
    assert_eq!(net.nodes[1].fetching, [(blob("root"), net.nodes[2].id)]);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1, "the task with the file");
    assert_eq!(net.nodes[1].fetching, [(folder("root"), net.nodes[2].id)]);
    let (hash, blobs) = (blob("root").hash, vec![named("part", &[]), named("root", &["part"])]);
    event(&mut net, 1, BlobEvent::Fetched { hash, blobs });
    assert_eq!(net.nodes[1].running.len(), 2);
    let part = net.nodes[1].engine.blobs().find(|view| view.hash == blob("part").hash);
    assert_eq!(part.map(|part| part.holds), Some(1), "the list holds its part now");
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 0);
}

#[test]
fn folder_whose_list_was_added_as_a_file_is_missing() {
    let mut net = connected(&[1]);
    let new = vec![named("part", &[]), named("root", &[])];
    request(&mut net, BlobRequest::Store { blobs: new, reserved: 0 }).unwrap();
    let id = net.submit(task_with(folder("root")));
    let missing = crate::Reason::BlobMissing { hash: blob("root").hash };
    assert_eq!(net.nodes[0].replies.pop().unwrap().1, Reply::Refused(missing));
    let whole = vec![named("part", &[]), named("root", &["part"])];
    request(&mut net, BlobRequest::Store { blobs: whole, reserved: 0 }).unwrap();
    // The part is kept by the list, also after a restart.
    net.restart(0);
    let part = net.nodes[0].engine.blobs().find(|view| view.hash == blob("part").hash);
    assert_eq!((part.map(|part| part.holds), net.state(id)), (Some(1), "unknown"));
}
