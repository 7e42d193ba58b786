//! A panic in any task of a node is a fault, also where it is caught: this notes them all.
//!
//! Absent on purpose: panics of the tests themselves, and of `debug/panic`, whose purpose they are.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static WATCH: Once = Once::new();

/// Files whose panics are meant.
const MEANT: [&str; 2] = ["crates/testkit/", "crates/exec/src/debug"];
/// As many are kept as a report needs.
const KEPT: usize = 16;

/// Notes panics from now on. Every [`TestNode`](crate::TestNode) sees to it.
pub fn watch() {
    WATCH.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            let meant = MEANT.iter().any(|file| location.contains(file));
            if !meant {
                let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() < KEPT {
                    seen.push(location);
                }
            }
            default(info);
        }));
    });
}

/// # Panics
///
/// Something in a node has panicked since the start of the process.
pub fn assert_none() {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(seen.is_empty(), "panics at {seen:?}");
}
