//! The fields that a digest covers, and a fixed value that must never change.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::*;
use crate::task::TaskType;

fn peer(byte: u8) -> PeerId {
    let mut bytes = vec![0x12, 0x20];
    bytes.extend([byte; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

fn task() -> Task {
    let mut task = Task::new("text/word-count").unwrap().with_input("seventeen letters");
    task.params.insert("n".to_owned(), "5".to_owned());
    task.requirements.labels.insert("site".to_owned(), "attic".to_owned());
    task.requirements.capabilities.push("gpu".to_owned());
    task.priority = -3;
    task
}

/// The value is stored on disk: if it changed, a second submission of the same task would be a
/// conflict.
#[test]
fn digest_is_the_same_in_every_version() {
    assert_eq!(digest(&task(), &[peer(1), peer(2)], true), 2488604402621714275);
}

#[test]
fn every_relevant_field_of_a_task_changes_its_digest() {
    type Change = fn(&mut Task);
    let changes: [(&str, Change); 20] = [
        ("family", |task| task.task_type = TaskType::Custom("texts".into())),
        ("operation", |task| task.operation = "word-counts".into()),
        ("input", |task| task.input = "seventeen letter".into()),
        ("input with a zero byte", |task| task.input = "seventeen letters\0".into()),
        ("params", |task| drop(task.params.insert("n".to_owned(), "6".to_owned()))),
        ("name of a parameter", |task| task.params = [("m".to_owned(), "5".to_owned())].into()),
        ("one more parameter", |task| drop(task.params.insert("m".to_owned(), String::new()))),
        ("labels", |task| task.requirements.labels.clear()),
        ("capabilities", |task| task.requirements.capabilities.clear()),
        ("cpus", |task| task.requirements.cpus = 2),
        ("memory", |task| task.requirements.memory_bytes = 1 << 30),
        ("gpus", |task| task.requirements.gpus = 1),
        ("priority", |task| task.priority = 3),
        ("queue", |task| task.limits.queue = None),
        ("attempt", |task| task.limits.attempt = Some(Duration::from_secs(1))),
        ("total", |task| task.limits.total = Some(Duration::from_secs(1))),
        ("attempts", |task| task.retry.attempts = 9),
        ("crashes", |task| task.retry.crashes = 9),
        ("backoff", |task| task.retry.backoff = Duration::from_millis(7)),
        ("hedge", |task| task.retry.hedge = true),
    ];
    for durable in [true, false] {
        let digest = |task: &Task, targets: &[PeerId]| digest(task, targets, durable);
        let plain = Task::new("text/word-count").unwrap();
        let mut seen = vec![
            digest(&task(), &[]),
            digest(&task(), &[peer(1)]),
            digest(&task(), &[peer(2)]),
            digest(&plain, &[]),
            digest(&plain, &[peer(1)]),
        ];
        for (name, change) in changes {
            for mut task in [task(), plain.clone()] {
                let before = task.clone();
                change(&mut task);
                let digest = digest(&task, &[]);
                assert!(task == before || !seen.contains(&digest), "{name}, durable: {durable}");
                seen.push(digest);
            }
        }
    }
}

#[test]
fn target_order_key_and_durability_do_not_change_digest() {
    let (one, other) = (peer(1), peer(2));
    assert_eq!(digest(&task(), &[one, other], true), digest(&task(), &[other, one, one], true));
    let mut renamed = task();
    renamed.idempotency_key = Some("k".to_owned());
    renamed.durability = Some(crate::task::Durability::Memory);
    assert_eq!(digest(&renamed, &[], true), digest(&task(), &[], true));
}
