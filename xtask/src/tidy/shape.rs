//! Checks the form of a file: its length, its header, the place of its tests, leftover notes, and
//! that every limit has a doc comment.

use syn::{
    Attribute, Meta,
    visit::{self, Visit},
};

use super::{Finding, source::Source, tokens};

/// Maximum lines of a file. A longer file owns more than one thing; most have a third of this.
const MAX_LINES: usize = 600;

/// Words that mark unfinished work, in two parts so that this file does not contain them.
const LEFTOVERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let path = source.path.as_str();
    if !source.is_generated() {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            let what = format!("{lines} lines, {MAX_LINES} are allowed; split it by what it owns");
            findings.push(Finding::new(path, MAX_LINES + 1, what));
        }
        // Unit tests need no header: it would repeat that of the module beside them.
        if source.file_name() != "tests.rs" && !source.text.starts_with("//!") {
            let what = "no `//!` header; say in the first line what this module owns";
            findings.push(Finding::new(path, 1, what));
        }
    }
    if source.file_name() == "mod.rs" {
        let what = "a mod.rs; name the file after the module, beside its directory";
        findings.push(Finding::new(path, 1, what));
    }
    if path.starts_with("crates/") {
        check_leftovers(source, findings);
    }
    let is_limits = source.file_name() == "limits.rs";
    Items { path, is_limits, findings }.visit_file(&source.syntax);
}

fn check_leftovers(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(source.text.lines()) {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| LEFTOVERS.contains(word)) {
            let what =
                format!("unfinished work ({word}); do it, or open an issue and delete the note");
            findings.push(Finding::new(&source.path, number, what));
        }
    }
}

struct Items<'a> {
    path: &'a str,
    is_limits: bool,
    findings: &'a mut Vec<Finding>,
}

impl Items<'_> {
    fn found(&mut self, line: usize, what: impl Into<String>) {
        self.findings.push(Finding::new(self.path, line, what));
    }

    fn constant(&mut self, name: &syn::Ident, attributes: &[Attribute]) {
        let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if self.is_limits && name != "_" && !documented {
            let what = format!(
                "`{name}` has no doc comment; say what it bounds and the reason for its value"
            );
            self.found(name.span().start().line, what);
        }
    }
}

impl<'ast> Visit<'ast> for Items<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() && module.ident == "tests" {
            let what = "tests inside the module; move them to a sibling file tests.rs";
            self.found(module.ident.span().start().line, what);
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(&item.ident, &item.attrs);
        visit::visit_item_const(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(&item.ident, &item.attrs);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // `cfg_attr(.., ignore)` also ignores a test, on some machines.
        let ignores = attribute.path().is_ident("ignore")
            || matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg_attr")
                && tokens::flatten(list.tokens.clone()).iter().any(|t| t.text == "ignore"));
        if ignores && let Some(word) = attribute.path().segments.first() {
            let what = "an ignored test; fix it or delete it";
            self.found(word.ident.span().start().line, what);
        }
    }
}
