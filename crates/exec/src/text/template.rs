//! The replacement template of `text/replace`.

use regex::{Match, Regex};

use crate::handler::{HandlerError, OutputWriter};

/// Texts and groups: `$1`, `$name`, `${name}`; `$$` is a dollar sign. A name is the longest
/// possible one: `$1a` is the group `1a`.
///
/// A group that does not exist is refused when the template is parsed; it is not silently empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template<'t> {
    parts: Vec<Part<'t>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    /// A group by number; 0 is the whole match.
    Group(usize),
}

impl<'t> Template<'t> {
    /// A template of the literal `text`.
    pub(super) fn literal(text: &'t str) -> Self {
        Self { parts: vec![Part::Text(text)] }
    }

    /// Parses `text`, which may name groups of `regex`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if `text` names a group that `regex` does not have.
    pub(super) fn parse(text: &'t str, regex: &Regex) -> Result<Self, HandlerError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            parts.push(Part::Text(before));
            if let Some(after) = after.strip_prefix('$') {
                parts.push(Part::Text("$"));
                rest = after;
                continue;
            }
            let (name, after) = group_name(after);
            parts.push(Part::Group(group_number(regex, name)?));
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(Self { parts })
    }

    /// Appends the replacement of `found`, a match of `regex` in `line`.
    pub(super) fn expand(
        &self,
        regex: &Regex,
        line: &str,
        found: Match<'_>,
        output: &mut OutputWriter<'_>,
    ) -> Result<(), HandlerError> {
        // Groups need a second search, which finds the same match first.
        let wanted = self.parts.iter().any(|part| matches!(part, Part::Group(1..)));
        let groups = if wanted { regex.captures_at(line, found.start()) } else { None };
        for part in &self.parts {
            output.push(match part {
                Part::Text(text) => text,
                Part::Group(0) => found.as_str(),
                Part::Group(number) => groups
                    .as_ref()
                    .and_then(|groups| groups.get(*number))
                    .map_or("", |group| group.as_str()),
            })?;
        }
        Ok(())
    }
}

/// Splits the text after a dollar sign into a group's name and the rest.
fn group_name(after: &str) -> (&str, &str) {
    if let Some(braced) = after.strip_prefix('{')
        && let Some((name, rest)) = braced.split_once('}')
    {
        return (name, rest);
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    after.split_at(after.bytes().take_while(is_name).count())
}

fn group_number(regex: &Regex, name: &str) -> Result<usize, HandlerError> {
    let number = match name.parse() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|known| known == Some(name)),
    };
    number.ok_or_else(|| {
        HandlerError::bad_parameter(
            "with",
            format!("the pattern has no group {name:?}; $$ is a dollar sign, ${{1}}a is $1 and a"),
        )
    })
}
