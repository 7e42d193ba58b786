//! Whose work runs here.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// From whom tasks of one family are accepted. Tasks of the node itself always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// From no other node.
    #[default]
    Nobody,
    /// From peers that this node trusts.
    Listed,
    /// From every admitted peer.
    Anyone,
}

impl Accept {
    /// The word in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Listed => "listed",
            Self::Anyone => "anyone",
        }
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of `nobody`, `listed`, `anyone`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an accept policy: write nobody, listed or anyone")]
pub struct UnknownAccept(String);

impl FromStr for Accept {
    type Err = UnknownAccept;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "nobody" => Ok(Self::Nobody),
            "listed" => Ok(Self::Listed),
            "anyone" => Ok(Self::Anyone),
            other => Err(UnknownAccept(other.to_owned())),
        }
    }
}

/// Whose work runs here, by family of handlers. A family that is not named accepts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AcceptPolicy {
    families: BTreeMap<String, Accept>,
}

impl AcceptPolicy {
    /// The same policy with this rule for `family`.
    #[must_use]
    pub fn with(mut self, family: impl Into<String>, accept: Accept) -> Self {
        self.families.insert(family.into(), accept);
        self
    }

    /// The rule for `family`.
    pub fn of(&self, family: &str) -> Accept {
        self.families.get(family).copied().unwrap_or_default()
    }

    /// Whether a peer may run handlers of `family` here.
    pub fn allows(&self, family: &str, listed: bool) -> bool {
        match self.of(family) {
            Accept::Nobody => false,
            Accept::Listed => listed,
            Accept::Anyone => true,
        }
    }

    /// The rules that were set, by family.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Accept)> {
        self.families.iter().map(|(family, accept)| (family.as_str(), *accept))
    }
}
