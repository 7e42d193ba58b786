//! Settings that document themselves: one definition gives a field, its doc comment, its default, its
//! range and its line in the printed configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    time::Duration,
};

use meshwork_core::{AcceptPolicy, Durability, Multiaddr, PeerId};
use meshwork_net::{BuildError, Subnet};
use toml_edit::{Array, InlineTable, Value};

use super::range::{Measure, Range, span};

/// Defines a struct of settings. `in` gives a field its range.
macro_rules! settings {
    ($prefix:literal, $(#[$attr:meta])* pub struct $name:ident {
        $($(#[doc = $doc:literal])* pub $field:ident: $ty:ty = $default:expr, $(in $range:expr,)?)*
    }) => {
        $(#[$attr])*
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Section for $name {
            fn settings(&self) -> Vec<Setting<'_>> {
                let Self { $($field,)* } = self;
                vec![$(Setting {
                    name: concat!($prefix, stringify!($field)),
                    doc: &[$($doc,)*],
                    range: [$($range,)?].into_iter().next(),
                    value: $field,
                },)*]
            }
        }
    };
}

pub(super) use settings;

/// One setting of a configuration.
pub(super) struct Setting<'c> {
    /// With the name of its section: `tasks.lease`.
    pub(super) name: &'static str,
    /// The lines of its doc comment.
    pub(super) doc: &'static [&'static str],
    pub(super) range: Option<Range>,
    pub(super) value: &'c dyn Shown,
}

/// A part of a configuration.
pub(super) trait Section {
    fn settings(&self) -> Vec<Setting<'_>>;
}

impl Setting<'_> {
    /// Checks the value against the range. A setting that is not set is within it.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        match (&self.range, self.value.measure()) {
            (Some(range), Some(measure)) if !range.contains(measure) => {
                let value = match measure {
                    Measure::Count(count) => count.to_string(),
                    Measure::Time(time) => format!("{time:?}"),
                };
                let why = format!("{value}; use {range}");
                Err(BuildError::Config { field: self.name, why })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The settings of which this one consists, if it is a section.
    pub(super) fn section(&self) -> Option<Vec<Setting<'_>>> {
        self.value.section()
    }
}

/// Prints the doc comment and the value as TOML. A setting that is not set is a comment.
impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.doc {
            writeln!(f, "#{line}")?;
        }
        let key = self.name.rsplit('.').next().unwrap_or(self.name);
        match self.value.toml() {
            Some(value) => writeln!(f, "{key} = {value}"),
            None => writeln!(f, "# {key} is not set"),
        }
    }
}

/// A value of a setting.
pub(super) trait Shown {
    /// The value in TOML; `None` if it is not set.
    fn toml(&self) -> Option<Value>;

    /// The part of the value that a range bounds.
    fn measure(&self) -> Option<Measure> {
        None
    }

    /// The settings of a section.
    fn section(&self) -> Option<Vec<Setting<'_>>> {
        None
    }
}

/// A whole section, which has no value of its own.
impl<T: Section> Shown for T {
    fn toml(&self) -> Option<Value> {
        None
    }

    fn section(&self) -> Option<Vec<Setting<'_>>> {
        Some(self.settings())
    }
}

fn count(count: impl TryInto<u64>) -> Option<Measure> {
    Some(Measure::Count(count.try_into().unwrap_or(u64::MAX)))
}

/// A number in TOML, whose numbers are signed.
fn number(number: impl TryInto<i64>) -> Option<Value> {
    Some(number.try_into().unwrap_or(i64::MAX).into())
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Shown for $ty {
            fn toml(&self) -> Option<Value> {
                number(*self)
            }

            fn measure(&self) -> Option<Measure> {
                count(*self)
            }
        }
    )*};
}

numbers!(u32, u64, usize);

macro_rules! texts {
    ($($ty:ty: $text:expr),*) => {$(
        impl Shown for $ty {
            fn toml(&self) -> Option<Value> {
                let text: fn(&$ty) -> String = $text;
                Some(text(self).into())
            }
        }
    )*};
}

texts!(
    String: Self::clone,
    PathBuf: |path| path.display().to_string(),
    Durability: |durability| durability.as_str().to_owned()
);

impl Shown for bool {
    fn toml(&self) -> Option<Value> {
        Some((*self).into())
    }
}

impl Shown for Duration {
    fn toml(&self) -> Option<Value> {
        Some(span(*self).into())
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time(*self))
    }
}

impl<T: Shown> Shown for Option<T> {
    fn toml(&self) -> Option<Value> {
        self.as_ref()?.toml()
    }

    fn measure(&self) -> Option<Measure> {
        self.as_ref()?.measure()
    }
}

macro_rules! lists {
    ($($ty:ty),*) => {$(
        impl Shown for $ty {
            fn toml(&self) -> Option<Value> {
                Some(self.iter().map(ToString::to_string).collect::<Array>().into())
            }

            fn measure(&self) -> Option<Measure> {
                count(self.len())
            }
        }
    )*};
}

lists!(Vec<Multiaddr>, Vec<PeerId>, Vec<Subnet>, BTreeSet<String>);

impl Shown for BTreeMap<String, String> {
    fn toml(&self) -> Option<Value> {
        Some(
            self.iter().map(|(name, value)| (name, value.as_str())).collect::<InlineTable>().into(),
        )
    }

    fn measure(&self) -> Option<Measure> {
        count(self.len())
    }
}

impl Shown for AcceptPolicy {
    fn toml(&self) -> Option<Value> {
        let rules = self.iter().map(|(family, accept)| (family, accept.as_str()));
        Some(rules.collect::<InlineTable>().into())
    }
}
