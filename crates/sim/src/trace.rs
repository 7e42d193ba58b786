//! The trace: one line per event. A hash of it is always kept.
//!
//! The hash is FNV-1a, which is equal on every machine and in every version.

use std::{collections::VecDeque, fmt, fmt::Write as _};

use meshwork_core::Time;

use crate::limits;

#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    line: String,
    tail: VecDeque<String>,
    /// All lines, if the scenario keeps the trace.
    full: Option<String>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            line: String::new(),
            tail: VecDeque::new(),
            full: keep.then(String::new),
        }
    }

    pub(crate) fn add(&mut self, at: Time, what: fmt::Arguments<'_>) {
        let micros = at.as_nanos() / 1_000;
        self.line.clear();
        // Writing to a string cannot fail.
        write!(self.line, "{}.{:06} ", micros / 1_000_000, micros % 1_000_000).ok();
        self.line.write_fmt(what).ok();
        for byte in self.line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(full) = &mut self.full {
            full.push_str(&self.line);
            full.push('\n');
            return;
        }
        // The strings are reused, so that a line needs no allocation.
        let mut slot = if self.tail.len() < limits::TAIL {
            String::new()
        } else {
            self.tail.pop_front().unwrap_or_default()
        };
        std::mem::swap(&mut slot, &mut self.line);
        self.tail.push_back(slot);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// All lines if they are kept, else the last ones.
    pub(crate) fn into_text(self) -> String {
        self.full.unwrap_or_else(|| {
            self.tail.iter().fold(String::new(), |text, line| text + line + "\n")
        })
    }
}
