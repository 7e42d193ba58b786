//! Handler names of the form `family/operation`.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::limits::HANDLER_NAME;

/// A handler's full name, `family/operation`.
///
/// Both parts are lower-case ASCII letters, digits, `-`, `_` and `.`, at least one character each,
/// and together at most [`HANDLER_NAME`] bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HandlerName(Arc<str>);

/// A text that is not a handler name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a handler name: write family/operation in lower case, such as \
     text/word-count"
)]
pub struct InvalidHandlerName {
    name: String,
}

impl HandlerName {
    /// The name of `operation` in `family`.
    ///
    /// # Errors
    ///
    /// A part is empty, too long, or contains a character that is not allowed.
    pub fn new(family: &str, operation: &str) -> Result<Self, InvalidHandlerName> {
        if is_part(family) && is_part(operation) && family.len() + operation.len() < HANDLER_NAME {
            return Ok(Self(format!("{family}/{operation}").into()));
        }
        Err(InvalidHandlerName::of(&format!("{family}/{operation}")))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash; policies are set by it.
    pub fn family(&self) -> &str {
        self.0.split_once('/').map_or("", |(family, _)| family)
    }

    /// The part after the slash.
    pub fn operation(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, operation)| operation)
    }
}

impl InvalidHandlerName {
    fn of(name: &str) -> Self {
        Self { name: name.chars().take(HANDLER_NAME).collect() }
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

impl FromStr for HandlerName {
    type Err = InvalidHandlerName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.split_once('/') {
            Some((family, operation)) => Self::new(family, operation),
            None => Err(InvalidHandlerName::of(name)),
        }
    }
}

impl TryFrom<String> for HandlerName {
    type Error = InvalidHandlerName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<HandlerName> for String {
    fn from(name: HandlerName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for HandlerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
