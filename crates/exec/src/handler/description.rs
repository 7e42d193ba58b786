//! The description of a handler, for users and for the check of parameters.
//!
//! Absent on purpose: a schema of inputs and outputs. The name of a handler defines their format.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::HandlerError;

/// What a handler does, and which parameters it takes. Empty for a handler without a description.
///
/// ```
/// use meshwork_exec::{Description, ParamKind, ParamSpec};
///
/// let description = Description::new("Repeats a text.").with_param(ParamSpec::with_default(
///     "times",
///     ParamKind::Integer { min: 0, max: 100 },
///     "2",
///     "how often",
/// ));
/// assert_eq!(description.params[0].name, "times");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What the handler does and returns, in a sentence.
    pub summary: Cow<'static, str>,
    /// The parameters that it takes, in the order in which they are shown.
    pub params: Cow<'static, [ParamSpec]>,
    /// Whether a task must name an input, which may be empty. The API refuses a task without one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_input: bool,
}

impl Description {
    /// A description without parameters.
    pub fn new(summary: impl Into<Cow<'static, str>>) -> Self {
        Self { summary: summary.into(), params: Cow::default(), needs_input: false }
    }

    /// The same description with `needs_input` set.
    #[must_use]
    pub fn with_input(mut self) -> Self {
        self.needs_input = true;
        self
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with_param(mut self, param: ParamSpec) -> Self {
        self.params.to_mut().push(param);
        self
    }
}

/// A parameter that a handler takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// The parameter's name.
    pub name: Cow<'static, str>,
    /// Which values it takes.
    pub kind: ParamKind,
    /// Whether the handler fails without the parameter. If so, there is no default.
    pub required: bool,
    /// The value that counts if the task has none, if any.
    pub default: Option<Cow<'static, str>>,
    /// What the parameter means, in a few words.
    pub doc: Cow<'static, str>,
}

/// Which values a parameter takes. All values travel as texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParamKind {
    /// Any text.
    Text,
    /// A regular expression in the syntax of the crate [`regex`]. The handler itself checks it.
    Regex,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// The minimum, inclusive.
        min: i64,
        /// The maximum, inclusive.
        max: i64,
    },
    /// One of a few words.
    Choice {
        /// The accepted words.
        of: Cow<'static, [Cow<'static, str>]>,
    },
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Regex => f.write_str("regex"),
            Self::Boolean => f.write_str("true or false"),
            Self::Integer { min, max } if *max == i64::MAX => write!(f, "{min} or more"),
            Self::Integer { min, max } => write!(f, "{min} to {max}"),
            Self::Choice { of } => f.write_str(&of.join(" or ")),
        }
    }
}

impl ParamSpec {
    /// A required parameter: the handler fails without it.
    pub const fn required(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kind,
            required: true,
            default: None,
            doc: Cow::Borrowed(doc),
        }
    }

    /// An optional parameter without a default.
    pub const fn optional(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kind,
            required: false,
            default: None,
            doc: Cow::Borrowed(doc),
        }
    }

    /// An optional parameter with a default.
    pub const fn with_default(
        name: &'static str,
        kind: ParamKind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kind,
            required: false,
            default: Some(Cow::Borrowed(default)),
            doc: Cow::Borrowed(doc),
        }
    }

    /// Checks `value` against the parameter's kind.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if the kind does not accept `value`; the error says what it
    /// accepts.
    pub fn check(&self, value: &str) -> Result<(), HandlerError> {
        let (fits, takes) = match &self.kind {
            ParamKind::Text | ParamKind::Regex => return Ok(()),
            ParamKind::Boolean => (matches!(value, "true" | "false"), "true or false".to_owned()),
            ParamKind::Integer { min, max } => (
                value.parse().is_ok_and(|number: i64| (*min..=*max).contains(&number)),
                format!("a whole number, {min} to {max}"),
            ),
            ParamKind::Choice { of } => (of.iter().any(|word| word == value), of.join(" or ")),
        };
        if fits {
            return Ok(());
        }
        Err(HandlerError::bad_parameter(&*self.name, format!("{takes}, not {value:?}")))
    }
}
