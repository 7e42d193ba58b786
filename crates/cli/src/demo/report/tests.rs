use std::time::Duration;

use super::*;
use crate::demo::tally::Tally;

/// A corpus of three words.
fn corpus() -> Corpus {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "to be or").unwrap();
    Corpus::read(Some(file.path().to_owned())).unwrap()
}

fn ran(words: u64, failed: u64) -> Ran {
    let tally =
        Tally { words, failed, latencies: vec![Duration::from_micros(1_500)], ..Tally::default() };
    Ran { tally, tasks: 1, took: Duration::from_millis(500) }
}

#[test]
fn equal_totals_are_ok_and_json_keeps_its_shape() {
    let peer = PeerId::random();
    let report = Report::of(ran(3, 0), &corpus(), &[("ant".to_owned(), peer)]);
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        serde_json::json!({
            "ok": true, "files": 1, "words": 3, "expected_words": 3, "took_ms": 500.0,
            "tasks_per_s": 2.0, "p50_ms": 1.5, "p99_ms": 1.5,
            "workers": [{ "name": "ant", "peer": peer.to_string(), "tasks": 0 }],
            "tasks": 1, "failed": 0, "top_words": [],
        })
    );
    assert!(report.text().contains("one thread counts 3 words: the same"));
}

#[test]
fn different_totals_are_not_ok_and_both_are_shown() {
    let report = Report::of(ran(4, 0), &corpus(), &[]);
    assert!(!report.ok);
    let text = report.text();
    assert!(text.contains("4 words") && text.contains("3 words: NOT the same"), "{text}");
}

#[test]
fn a_failed_task_is_not_ok_even_if_the_totals_agree() {
    assert!(!Report::of(ran(3, 1), &corpus(), &[]).ok);
}
