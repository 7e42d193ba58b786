//! Handler names as small integers, so that tasks need not store the name.

use rustc_hash::FxHashMap;

use crate::{limits, task::HandlerName};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Kind(u32);

/// Every handler name used so far, at most [`limits::KINDS`]. Never shrinks: a program uses few.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    names: Vec<HandlerName>,
    index: FxHashMap<HandlerName, Kind>,
    scratch: String,
}

impl Kinds {
    /// The number of `family/operation`; `None` if the name is new and the table is full.
    pub(super) fn of(&mut self, family: &str, operation: &str) -> Option<Kind> {
        self.scratch.clear();
        self.scratch.push_str(family);
        self.scratch.push('/');
        self.scratch.push_str(operation);
        if let Some(kind) = self.index.get(self.scratch.as_str()) {
            return Some(*kind);
        }
        if self.names.len() >= limits::KINDS {
            return None;
        }
        let name = HandlerName::new(family, operation).ok()?;
        let kind = Kind(u32::try_from(self.names.len()).ok()?);
        self.names.push(name.clone());
        self.index.insert(name, kind);
        Some(kind)
    }

    pub(super) fn name(&self, kind: Kind) -> Option<&HandlerName> {
        self.names.get(kind.0 as usize)
    }
}
