use super::*;

const PEER: &str = "12D3KooWMDcGN1Y98nb4GeGSuLrwn9NeKp1oT1AKo6KsH8gwZpZj";
const TASK: &str = "019aa2c4-0000-7000-8000-0000008f3a21";

fn event(kind: &str) -> EventView {
    let at = "2026-11-27T12:04:05.123Z".parse().unwrap();
    EventView { id: 1, at, kind: kind.into(), ..EventView::default() }
}

#[test]
fn people_get_short_ids_and_names() {
    let running = EventView {
        task_id: Some(TASK.to_owned()),
        peer_id: Some(PEER.to_owned()),
        ..event("task.running")
    };
    assert_eq!(
        line(&running, Some("bee"), true),
        "12:04:05.123  task.running       8f3a21  on bee"
    );
    let gone = EventView {
        peer_id: Some(PEER.to_owned()),
        message: Some("timed\u{1b} out".to_owned()),
        ..event("peer.disconnected")
    };
    assert_eq!(
        line(&gone, None, true),
        "12:04:05.123  peer.disconnected  12D3KooWMD…ZpZj  timed\u{fffd} out"
    );
    let failed = EventView {
        task_id: Some(TASK.to_owned()),
        peer_id: Some(PEER.to_owned()),
        handler: Some("text/upper".to_owned()),
        code: Some("bad_input".into()),
        message: Some("no text".to_owned()),
        ..event("task.failed")
    };
    assert_eq!(
        line(&failed, Some("bee"), true),
        "12:04:05.123  task.failed        8f3a21  text/upper on bee bad_input: no text"
    );
    let queued = EventView { task_id: Some(TASK.to_owned()), ..event("task.queued") };
    assert_eq!(line(&queued, None, true), "12:04:05.123  task.queued        8f3a21");
}

#[test]
fn programs_get_whole_ids_between_tabs() {
    let progress = EventView {
        task_id: Some(TASK.to_owned()),
        fraction: Some(0.5),
        message: Some("half\tway".to_owned()),
        ..event("task.progress")
    };
    assert_eq!(
        line(&progress, None, false),
        format!("2026-11-27T12:04:05.123Z\ttask.progress\t{TASK}\t50% half way")
    );
}

#[test]
fn gap_names_the_number_of_missing_events_if_known() {
    let known = EventView { missed: Some(1_204), ..event("gap") };
    assert!(line(&known, None, true).ends_with("1,204 events are missing here"));
    assert!(line(&event("gap"), None, true).ends_with("events may be missing here"));
}
