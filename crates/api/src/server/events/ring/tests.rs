use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn ring_of(events: usize) -> Ring {
    let mut ring = Ring::new(now());
    for _ in 0..events {
        push(&mut ring);
    }
    ring
}

fn push(ring: &mut Ring) -> u64 {
    ring.push(EventView { kind: "task.queued".into(), ..EventView::default() }, now())
}

/// An event's id, counted from the ring's start; and for a gap the number of missing events.
type Entry = (u64, Option<Option<u64>>);

fn read(ring: &Ring, last: u64, most: usize) -> Vec<Entry> {
    let page = ring.after(last, most, now());
    page.iter()
        .map(|event| (event.id - START, (event.kind == EventType::Gap).then_some(event.missed)))
        .collect()
}

const START: u64 = 1_795_780_800_000_000;

#[test]
fn ids_rise_from_the_time_of_day() {
    let mut ring = ring_of(0);
    assert_eq!(ring.newest(), START);
    assert_eq!([push(&mut ring), push(&mut ring)], [START + 1, START + 2]);
    const { assert!(START < 1 << 53) };
}

#[test]
fn reader_that_resumes_in_time_misses_nothing() {
    let ring = ring_of(5);
    assert_eq!(read(&ring, START, 2), [(1, None), (2, None)]);
    assert_eq!(read(&ring, START + 2, 100), [(3, None), (4, None), (5, None)]);
    assert_eq!(read(&ring, START + 5, 100), []);
}

#[test]
fn dropped_events_are_a_gap_of_known_size() {
    let ring = ring_of(limits::EVENTS + 3);
    assert_eq!(ring.events.len(), limits::EVENTS);
    assert_eq!(read(&ring, START + 1, 3), [(3, Some(Some(2))), (4, None), (5, None)]);
    assert_eq!(read(&ring, START + 3, 1), [(4, None)]);
    // The events after the gap, and no second gap.
    assert_eq!(read(&ring, START + 3, 2), [(4, None), (5, None)]);
}

#[test]
fn ids_of_another_run_are_a_gap_of_unknown_size() {
    let ring = ring_of(1);
    assert_eq!(read(&ring, 7, 100), [(0, Some(None)), (1, None)]);
    // The clock was set back between the runs.
    assert_eq!(read(&ring, START + 9, 100), [(0, Some(None)), (1, None)]);
}

#[test]
fn time_without_readers_is_a_gap_of_unknown_size() {
    let mut ring = ring_of(2);
    ring.cut();
    assert_eq!(read(&ring, START + 2, 100), [(3, Some(None))]);
    assert_eq!(read(&ring, ring.newest(), 100), []);
    push(&mut ring);
    assert_eq!(read(&ring, START + 1, 100), [(3, Some(None)), (4, None)]);
    assert_eq!(read(&ring, START + 3, 100), [(4, None)]);
}
