//! Selects events by type.

use crate::{
    limits,
    types::{EventType, Problem},
};

#[cfg(test)]
mod tests;

/// Event types, and prefixes of types that end in a dot; empty for all types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(Vec<String>);

impl Filter {
    /// Reads types and prefixes that are separated by commas.
    ///
    /// # Errors
    ///
    /// The list is too long, or an entry matches no event type.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let wanted: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
        if wanted.len() > limits::EVENT_FILTERS {
            return Err(Problem::bad_request(format!("types: at most {}", limits::EVENT_FILTERS)));
        }
        for part in &wanted {
            if !EventType::WORDS.iter().any(|kind| fits(part, kind)) {
                let detail = format!("{part:?} is not an event type, nor the start of one");
                let types = EventType::WORDS.join(", ");
                return Err(Problem::bad_request(detail)
                    .with_hint(format!("use one of {types}; or a start such as task.")));
            }
        }
        Ok(Self(wanted.into_iter().map(str::to_owned).collect()))
    }

    /// Whether an event of this type is selected. A gap always is.
    pub(crate) fn wants(&self, kind: &EventType) -> bool {
        self.0.is_empty()
            || *kind == EventType::Gap
            || self.0.iter().any(|part| fits(part, kind.as_str()))
    }
}

fn fits(part: &str, kind: &str) -> bool {
    part == kind || (part.ends_with('.') && kind.starts_with(part))
}
