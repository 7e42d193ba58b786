//! Records all panics: a panic in any task of a node is an error, even if it is caught.
//!
//! Absent on purpose: panics of the tests themselves, and of `debug/panic`, which are intended.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static WATCH: Once = Once::new();

/// Path prefixes of files whose panics are intended.
const INTENDED: [&str; 2] = ["crates/testkit/", "crates/exec/src/debug"];
/// Maximum number of panics to keep: enough for a report.
const KEPT: usize = 16;

/// Starts recording panics. Every [`TestNode`](crate::TestNode) calls this.
pub fn watch() {
    WATCH.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            let intended = INTENDED.iter().any(|file| location.contains(file));
            if !intended {
                let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() < KEPT {
                    seen.push(location);
                }
            }
            default(info);
        }));
    });
}

/// Checks that no node has panicked since the start of the process.
///
/// # Panics
///
/// Panics if one has.
pub fn assert_none() {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(seen.is_empty(), "panics at {seen:?}");
}
