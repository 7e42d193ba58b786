//! Handler names that a session has seen lately, so that an assignment does not build its own.

use meshwork_core::HandlerName;

use crate::limits;

#[cfg(test)]
mod tests;

/// The last few handler names of one session.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Vec<HandlerName>,
    /// Where the last one asked for is; the next is nearly always the same.
    last: usize,
    /// Where the next new one goes.
    oldest: usize,
}

impl Names {
    /// The handler name that `text` is; none if it is not one.
    pub(crate) fn parse(&mut self, text: &str) -> Option<HandlerName> {
        if let Some(name) = self.known.get(self.last)
            && name.as_str() == text
        {
            return Some(name.clone());
        }
        if let Some(at) = self.known.iter().position(|name| name.as_str() == text) {
            self.last = at;
            return self.known.get(at).cloned();
        }
        let name: HandlerName = text.parse().ok()?;
        if self.known.len() < limits::KNOWN_NAMES {
            self.last = self.known.len();
            self.known.push(name.clone());
        } else if let Some(slot) = self.known.get_mut(self.oldest) {
            *slot = name.clone();
            self.last = self.oldest;
            self.oldest = (self.oldest + 1) % limits::KNOWN_NAMES;
        }
        Some(name)
    }
}
