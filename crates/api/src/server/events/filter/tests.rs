use super::*;
use crate::types::ErrorCode;

#[test]
fn filter_selects_types_and_prefixes_and_every_gap() {
    let all = Filter::parse("").unwrap();
    assert!(EventType::WORDS.iter().all(|kind| all.wants(&(*kind).into())));
    let some = Filter::parse("task.,peer.ready,").unwrap();
    let wanted = EventType::WORDS.iter().copied().filter(|kind| some.wants(&(*kind).into()));
    let wanted: Vec<&str> = wanted.collect();
    assert_eq!(
        wanted,
        [
            "gap",
            "peer.ready",
            "task.assigned",
            "task.cancelled",
            "task.expired",
            "task.failed",
            "task.progress",
            "task.queued",
            "task.running",
            "task.succeeded",
        ]
    );
}

#[test]
fn unknown_event_type_is_refused_with_a_list() {
    for text in ["task", "task.done", "peer.read", ".", "x"] {
        let problem = Filter::parse(text).unwrap_err();
        assert_eq!(problem.code, ErrorCode::BadRequest, "{text}");
        assert!(problem.hint.unwrap().contains("task.queued"), "{text}");
    }
    let many = vec!["gap"; limits::EVENT_FILTERS + 1].join(",");
    assert_eq!(Filter::parse(&many).unwrap_err().code, ErrorCode::BadRequest);
}
