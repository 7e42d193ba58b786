//! The policy: whose work runs here, by handler family.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// From which nodes tasks of one family are accepted. The node's own tasks always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// From no other node.
    Nobody,
    /// From peers that this node trusts.
    Listed,
    /// From every admitted peer.
    Anyone,
}

impl Accept {
    /// Whether a peer's tasks are accepted; `listed` says whether this node trusts the peer.
    pub fn allows(self, listed: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Listed => listed,
            Self::Anyone => true,
        }
    }

    /// The name in configuration and on the command line.
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

/// A text that is not `nobody`, `listed` or `anyone`.
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

/// Families that accept nobody unless a rule names them: test handlers, and handlers that run
/// programs.
const GUARDED: [&str; 3] = ["debug", COMMAND, EXEC];
const COMMAND: &str = "command";
const EXEC: &str = "exec";

/// Whose work runs here, by family of handlers.
///
/// A family without a rule accepts listed peers; `debug`, `command` and `exec` accept nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AcceptPolicy {
    rules: BTreeMap<String, Accept>,
}

impl AcceptPolicy {
    /// The families with the same meaning on every node, whatever its handlers.
    pub const RESERVED: [&str; 3] = GUARDED;

    /// The same policy with this rule for `family`.
    #[must_use]
    pub fn with(mut self, family: impl Into<String>, accept: Accept) -> Self {
        self.rules.insert(family.into(), accept);
        self
    }

    /// The same policy with this rule for each of `families`, except those that run programs
    /// (`command` and `exec`): these are opened by name only.
    #[must_use]
    pub fn with_all<'a>(self, families: impl IntoIterator<Item = &'a str>, accept: Accept) -> Self {
        let families = families.into_iter().filter(|family| ![COMMAND, EXEC].contains(family));
        families.fold(self, |policy, family| policy.with(family, accept))
    }

    /// The rules of `self`, and those of `lower` for families without one.
    #[must_use]
    pub fn over(mut self, lower: &Self) -> Self {
        for (family, accept) in &lower.rules {
            self.rules.entry(family.clone()).or_insert(*accept);
        }
        self
    }

    /// The same policy with a rule for each of `families` and no other.
    #[must_use]
    pub fn spelled_out<'a>(&self, families: impl IntoIterator<Item = &'a str>) -> Self {
        let rules = families.into_iter().map(|family| (family.to_owned(), self.of(family)));
        Self { rules: rules.collect() }
    }

    /// Which owners may have tasks of `family` run here.
    pub fn of(&self, family: &str) -> Accept {
        let by_default = if GUARDED.contains(&family) { Accept::Nobody } else { Accept::Listed };
        self.rule(family).unwrap_or(by_default)
    }

    /// The rule that was set for `family`, if any.
    pub fn rule(&self, family: &str) -> Option<Accept> {
        self.rules.get(family).copied()
    }

    /// Whether a peer may run handlers of `family` here.
    pub fn allows(&self, family: &str, listed: bool) -> bool {
        self.of(family).allows(listed)
    }

    /// The rules that were set, by family.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Accept)> {
        self.rules.iter().map(|(family, accept)| (family.as_str(), *accept))
    }
}

#[cfg(test)]
mod tests;
