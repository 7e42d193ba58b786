//! Progress as status requests see it.

use super::*;

#[test]
fn start_reports_its_progress_below_one_hundred_percent() {
    let recovery = Recovery::default();
    assert_eq!(recovery.percent(), None, "before the start");
    let start = recovery.begin();
    assert_eq!(recovery.percent(), Some(0), "the number of steps is unknown");
    recovery.set_steps(4);
    let percents: Vec<_> = (0..4)
        .map(|_| {
            recovery.step();
            recovery.percent().unwrap()
        })
        .collect();
    assert_eq!(percents, [25, 50, 75, 99]);
    drop(start);
    assert_eq!(recovery.percent(), None, "after the start");
    recovery.step();
    assert_eq!(recovery.percent(), None, "a late step reports nothing");
}
