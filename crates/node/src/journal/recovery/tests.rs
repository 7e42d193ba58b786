//! What those who ask are told.

use super::*;

#[test]
fn it_is_told_while_a_start_is_under_way_and_never_that_it_is_over() {
    let recovery = Recovery::default();
    assert_eq!(recovery.percent(), None, "before it");
    let start = recovery.begin();
    assert_eq!(recovery.percent(), Some(0), "nothing is known yet");
    recovery.of(4);
    let told: Vec<_> = (0..4)
        .map(|_| {
            recovery.step();
            recovery.percent().unwrap()
        })
        .collect();
    assert_eq!(told, [25, 50, 75, 99]);
    drop(start);
    assert_eq!(recovery.percent(), None, "after it");
    recovery.step();
    assert_eq!(recovery.percent(), None, "what reads on when nobody waits any more tells nobody");
}
