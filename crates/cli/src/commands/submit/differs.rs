//! Compares a submitted group with the known group of the same key.

use meshwork_api::GroupView;
use meshwork_core::Durability;

use super::Noun;

#[cfg(test)]
mod tests;

/// The group that the user submits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) members: u64,
    pub(super) max_fails: Option<u32>,
    /// `None`: the default of the node.
    pub(super) durability: Option<Durability>,
    /// The index of the first member that differs, if the node found one.
    pub(super) differs: Option<u32>,
}

/// Describes every difference, or returns `None` if there is no known difference.
pub(super) fn text(known: &GroupView, given: &Given, noun: Noun) -> Option<String> {
    let mut parts = Vec::new();
    let members = given.members;
    if known.complete && members != known.members || members < known.members {
        parts.push(format!("{} instead of {}", noun.count(members), known.members));
    }
    if given.max_fails != known.max_fails {
        let flag = |max_fails: Option<u32>| {
            max_fails.map_or_else(|| "none".to_owned(), |most| most.to_string())
        };
        let (new, old) = (flag(given.max_fails), flag(known.max_fails));
        parts.push(format!("--max-fails {new} instead of {old}"));
    }
    if let Some(new) = given.durability.map(meshwork_api::Durability::from)
        && new != known.durability
    {
        parts.push(format!("--durability {new} instead of {}", known.durability));
    }
    if let Some(place) = given.differs {
        parts.push(format!("{} {} differs", noun.one(), u64::from(place) + 1));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
