//! The name that somebody may have meant who typed another.

#[cfg(test)]
mod tests;

/// The one of `known` that is most like `typed`, if any is close: one edit for each three
/// characters, and at least one.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|name| (strsim::osa_distance(typed, name), name));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}
