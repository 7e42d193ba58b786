//! Suggests a known name for a mistyped one.

#[cfg(test)]
mod tests;

/// The name in `known` closest to `typed`, if one is close enough: one edit for each three
/// characters, and at least one.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|name| (strsim::osa_distance(typed, name), name));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}
