//! `text/replace`.

use regex::Regex;

use super::{
    IGNORE_CASE, counted,
    lines::split_ending,
    pattern::Pattern,
    source::{Cut, Source},
    template::Template,
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
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

pub(super) fn replace(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let literal = cx.value(&LITERAL)?;
    let mut expression: String = cx.value(&PATTERN)?;
    if literal {
        expression = regex::escape(&expression);
    }
    let pattern = Pattern::new(&expression, cx.value(&IGNORE_CASE)?)?;
    let with: String = cx.value(&WITH)?;
    let template =
        if literal { Template::literal(&with) } else { Template::parse(&with, pattern.regex())? };
    let left = cx.param(&MAX.name)?.unwrap_or(u64::MAX);
    let mut replacing = Replacing { cx, regex: pattern.regex(), template, left, output };
    source.each_piece(cx, Cut::Lines, |piece| {
        pattern.check_lines_of(piece)?;
        for line in piece.split_inclusive('\n') {
            let (body, ending) = split_ending(line);
            replacing.line(body)?;
            replacing.output.push(ending)?;
        }
        Ok(())
    })
}

struct Replacing<'a, 'c> {
    cx: &'a TaskContext,
    regex: &'a Regex,
    template: Template<'a>,
    /// Number of replacements that may still be made.
    left: u64,
    output: &'a mut OutputWriter<'c>,
}

impl Replacing<'_, '_> {
    fn line(&mut self, line: &str) -> Result<(), HandlerError> {
        self.cx.ensure_running()?;
        let mut copied = 0;
        for found in self.regex.find_iter(line) {
            if self.left == 0 {
                break;
            }
            // Each search may read the rest of the line, so that one line may take long.
            self.cx.ensure_running()?;
            self.output.push(line.get(copied..found.start()).unwrap_or_default())?;
            self.template.expand(self.regex, line, found, self.output)?;
            copied = found.end();
            self.left -= 1;
        }
        self.output.push(line.get(copied..).unwrap_or_default())
    }
}
