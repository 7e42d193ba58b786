//! Counts from the test harness's output, and the notes of skipped tests.

use super::*;

#[test]
fn skipped_tests_are_not_counted_as_passed() {
    let mut counts = Counts::default();
    for line in [
        "running 3 tests",
        "test result: ok. 40 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.2s",
        "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        "a line about 9 passed; tests",
    ] {
        counts.add(line);
    }
    assert_eq!(counts, Counts { passed: 47, failed: 2, ignored: 1 });
    let noted =
        "power::cut: it takes mkfs.ext4\nfaults::slow: there is no strace: none\npower::cut: x\n";
    let skipped = skipped(noted);
    assert_eq!(skipped.len(), 2);
    assert_eq!(skipped["power::cut"], "it takes mkfs.ext4");
    assert_eq!(skipped["faults::slow"], "there is no strace: none");
    assert_eq!(counts.summary(skipped.len()), "45 passed, 2 failed, 3 skipped");
}
