//! `text/replace`.

use bytes::Bytes;
use regex::Regex;

use super::{lines::split_ending, output::Output, pattern::Pattern, template::Template};
use crate::{context::TaskContext, handler::HandlerError, limits::COUNTED};

pub(super) fn replace(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let literal = cx.param("literal")?.unwrap_or(false);
    let pattern = Pattern::of_params(cx, literal)?;
    let with: String =
        cx.param("with")?.ok_or_else(|| HandlerError::bad_parameter("with", "missing; a text"))?;
    let max = cx.param_in("max", 0..=COUNTED)?.unwrap_or(COUNTED);
    let text = str::from_utf8(input)?;
    let regex = pattern.for_lines_of(text)?;
    let template = if literal { Template::literal(&with) } else { Template::parse(&with, regex)? };
    let mut replacing = Replacing { cx, regex, template, left: max, output: Output::default() };
    for line in text.split_inclusive('\n') {
        let (body, ending) = split_ending(line);
        replacing.line(body)?;
        replacing.output.push(ending)?;
    }
    Ok(replacing.output.into())
}

struct Replacing<'a> {
    cx: &'a TaskContext,
    regex: &'a Regex,
    template: Template<'a>,
    /// Replacements that may still be made.
    left: usize,
    output: Output,
}

impl Replacing<'_> {
    fn line(&mut self, line: &str) -> Result<(), HandlerError> {
        self.cx.ensure_running()?;
        let mut copied = 0;
        for found in self.regex.find_iter(line).take(self.left) {
            // Each search may read the rest of the line, so that a line may take long.
            self.cx.ensure_running()?;
            self.output.push(line.get(copied..found.start()).unwrap_or_default())?;
            self.template.put_out(self.regex, line, found, &mut self.output)?;
            copied = found.end();
            self.left -= 1;
        }
        self.output.push(line.get(copied..).unwrap_or_default())
    }
}
