use meshwork_core::PeerId;

use super::*;

fn result(output: &str, worker: PeerId) -> TaskResult {
    TaskResult { output: output.to_owned().into(), worker, attempt: 1, took: Duration::ZERO }
}

#[test]
fn results_are_added_up() {
    let (bee, cat) = (PeerId::random(), PeerId::random());
    let mut tally = Tally::default();
    let one = r#"{"words":3,"top":[{"word":"a","count":2},{"word":"b","count":1}]}"#;
    let two = r#"{"words":2,"top":[{"word":"b","count":1},{"word":"c","count":1}]}"#;
    tally.add(&result(one, bee), Duration::from_millis(1));
    tally.add(&result(two, cat), Duration::from_millis(2));
    tally.add(&result(two, cat), Duration::from_millis(3));
    assert_eq!((tally.words, tally.failed), (7, 0));
    assert_eq!(tally.top(2), [("b", 3), ("a", 2)]);
    assert_eq!(tally.top(9), [("b", 3), ("a", 2), ("c", 2)]);
    assert_eq!((tally.by_worker[&bee], tally.by_worker[&cat]), (1, 2));
}

#[test]
fn invalid_result_counts_as_failed() {
    let mut tally = Tally::default();
    tally.add(&result("nonsense", PeerId::random()), Duration::ZERO);
    tally.fail("second".to_owned());
    assert_eq!((tally.words, tally.failed), (0, 2));
    assert!(tally.first_failure.unwrap().contains("cannot be read"));
    assert!(tally.by_worker.is_empty());
}

#[test]
fn percentiles_use_the_nearest_rank() {
    let ms = Duration::from_millis;
    let mut tally = Tally::default();
    assert_eq!(tally.percentile(50), Duration::ZERO);
    tally.latencies = vec![ms(4)];
    assert_eq!((tally.percentile(50), tally.percentile(99)), (ms(4), ms(4)));
    tally.latencies = (1..=100).rev().map(ms).collect();
    assert_eq!((tally.percentile(50), tally.percentile(99)), (ms(50), ms(99)));
}
