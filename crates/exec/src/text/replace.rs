//! `text/replace`.

use bytes::Bytes;
use regex::Regex;

use super::{
    IGNORE_CASE, counted, lines::split_ending, output::Output, pattern::Pattern, template::Template,
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, ParamKind, ParamSpec},
    limits::COUNTED,
};

const PATTERN: ParamSpec =
    ParamSpec::required("pattern", ParamKind::Regex, "the regular expression to replace");
const WITH: ParamSpec = ParamSpec::required(
    "with",
    ParamKind::Text,
    "the replacement; $1 or ${name} is a group, $$ a dollar sign",
);
const LITERAL: ParamSpec = ParamSpec::with_default(
    "literal",
    ParamKind::Boolean,
    "false",
    "take the pattern and its replacement literally",
);
const MAX: ParamSpec =
    ParamSpec::optional("max", counted(0), "how many matches to replace; default all");
pub(super) const PARAMS: &[ParamSpec] = &[PATTERN, WITH, LITERAL, IGNORE_CASE, MAX];

pub(super) fn replace(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let literal = cx.value(&LITERAL)?;
    let mut source: String = cx.value(&PATTERN)?;
    if literal {
        source = regex::escape(&source);
    }
    let pattern = Pattern::new(&source, cx.value(&IGNORE_CASE)?)?;
    let with: String = cx.value(&WITH)?;
    let max = cx.param(&MAX.name)?.unwrap_or(COUNTED);
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
    /// Number of replacements that may still be made.
    left: usize,
    output: Output,
}

impl Replacing<'_> {
    fn line(&mut self, line: &str) -> Result<(), HandlerError> {
        self.cx.ensure_running()?;
        let mut copied = 0;
        for found in self.regex.find_iter(line).take(self.left) {
            // Each search may read the rest of the line, so that one line may take long.
            self.cx.ensure_running()?;
            self.output.push(line.get(copied..found.start()).unwrap_or_default())?;
            self.template.expand(self.regex, line, found, &mut self.output)?;
            copied = found.end();
            self.left -= 1;
        }
        self.output.push(line.get(copied..).unwrap_or_default())
    }
}
