//! Cache of a session's recent handler names, so that assignments share one allocation per name.

use meshwork_core::HandlerName;

use crate::limits;

#[cfg(test)]
mod tests;

/// The last few handler names of one session.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Vec<HandlerName>,
    /// Index of the last name returned: the next is nearly always the same.
    last: usize,
    /// Index that the next new name replaces.
    oldest: usize,
}

impl Names {
    /// Parses a handler name; `None` if `text` is not a valid name.
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
