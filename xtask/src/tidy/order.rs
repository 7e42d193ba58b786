//! Checks the order of the files in a folder: a file imports only files that come before it, so
//! that a folder can be read from the bottom to the top, and no two files need each other.
//!
//! An import of a re-exported item counts as an import of the file that re-exports it. Absent on
//! purpose: method calls, whose types come from an import or an argument.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;
use proc_macro2::TokenStream;
use syn::{
    UseTree,
    visit::{self, Visit},
};

use super::{
    Finding,
    source::{self, Source},
    tokens,
};

#[cfg(test)]
mod tests;

mod table;

/// The files of one folder, from the bottom to the top.
struct Order {
    /// The sources of the crate, from the workspace root: `crates/net/src`.
    src: &'static str,
    /// The folder, from the sources: `""` for all of them, `engine` for `src/engine/` and
    /// `src/engine.rs`.
    folder: &'static str,
    /// Files from the sources, without `.rs`.
    files: &'static [&'static str],
}

/// Checks every table, if the project has a code map (`ARCHITECTURE.md`).
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !root.join("ARCHITECTURE.md").exists() {
        return Ok(findings);
    }
    for order in table::ORDERS {
        let mut sources = Vec::new();
        for path in source::paths(&root.join(order.src), &["rs"])? {
            // A file that is not Rust is found elsewhere.
            if let Ok(source) = source::read(root, &path)?
                && !source.is_test()
                && order.file(&source.path).is_some()
            {
                sources.push(source);
            }
        }
        findings.extend(order.check(&sources));
    }
    Ok(findings)
}

impl Order {
    /// Checks the files of the folder, all of them in `sources`.
    fn check(&self, sources: &[Source]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let table = "the table of orders (xtask/src/tidy/order/table.rs)";
        let there: BTreeSet<&str> = sources.iter().filter_map(|it| self.file(&it.path)).collect();
        for gone in self.files.iter().filter(|file| !there.contains(*file)) {
            let path = format!("{}/{gone}.rs", self.src);
            findings.push(Finding::new(
                &path,
                1,
                format!("file not found; remove it from {table}"),
            ));
        }
        for source in sources {
            let Some(file) = self.file(&source.path) else { continue };
            let Some(position) = self.position(file) else {
                let what = format!("not in {table}; add it after the files that it imports");
                findings.push(Finding::new(&source.path, 1, what));
                continue;
            };
            for import in imports(&source.syntax, module_of(file)) {
                let Some(target) = self.target(&import.path) else { continue };
                if self.position(target).is_some_and(|its| its > position) {
                    let what = format!(
                        "imports {target}.rs, which comes later; move the shared code to a file \
                         before both, or return a value ({table})"
                    );
                    findings.push(Finding::new(&source.path, import.line, what));
                }
            }
        }
        findings
    }

    /// The file's name in the table, if the file belongs to the folder.
    fn file<'a>(&self, path: &'a str) -> Option<&'a str> {
        let file = path.strip_prefix(self.src)?.strip_prefix('/')?.strip_suffix(".rs")?;
        let is_inside = self.folder.is_empty()
            || file
                .strip_prefix(self.folder)
                .is_some_and(|it| it.is_empty() || it.starts_with('/'));
        is_inside.then_some(file)
    }

    fn position(&self, file: &str) -> Option<usize> {
        self.files.iter().position(|one| *one == file)
    }

    /// The file of the folder that defines the item with this path: the longest prefix of the path
    /// that is a module with a file. `None` if the item is outside of the folder.
    fn target(&self, path: &[String]) -> Option<&'static str> {
        let is_it = |file: &&&str| {
            let module = module_of(file);
            path.len() >= module.len() && path.iter().zip(&module).all(|(a, b)| a == b)
        };
        let longest = self.files.iter().filter(is_it).max_by_key(|file| module_of(file).len())?;
        // The root file is the target only for items in no other file, and the path may lead to a
        // file that is not listed.
        let is_root = module_of(longest).is_empty();
        (!is_root || self.folder.is_empty()).then_some(*longest)
    }
}

/// The module path of a file, without the crate: `engine/worker` is `engine::worker`.
fn module_of(file: &str) -> Vec<String> {
    match file {
        "lib" | "main" => Vec::new(),
        file => file.split('/').map(str::to_owned).collect(),
    }
}

/// A path that a file names.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    /// From the root of the crate, without `crate`.
    path: Vec<String>,
    line: usize,
}

/// Every path in a file that leads to a module of its own crate: `use` declarations, and paths in
/// code and macros that begin with `crate`, `self` or `super`.
fn imports(file: &syn::File, module: Vec<String>) -> Vec<Import> {
    let mut found = Paths { module, children: BTreeSet::new(), imports: Vec::new() };
    found.visit_file(file);
    found.imports
}

struct Paths {
    /// The module that is being read.
    module: Vec<String>,
    /// The modules that the current module declares: a path may begin with them.
    children: BTreeSet<String>,
    imports: Vec<Import>,
}

impl Paths {
    fn found(&mut self, segments: &[String], line: usize) {
        let mut rest = segments;
        let mut path = match segments.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            Some(first) if self.children.contains(first) => self.module.clone(),
            Some(_) | None => return,
        };
        while let [first, after @ ..] = rest
            && matches!(first.as_str(), "crate" | "self" | "super")
        {
            if first == "super" {
                path.pop();
            }
            rest = after;
        }
        path.extend_from_slice(rest);
        self.imports.push(Import { path, line });
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.use_tree(before, item));
            }
            // `use a::{self}` is an import of `a`.
            UseTree::Name(name) if name.ident == "self" => {
                self.found(before, name.ident.span().start().line);
            }
            UseTree::Rename(name) if name.ident == "self" => {
                self.found(before, name.ident.span().start().line);
            }
            UseTree::Name(name) => self.found(&with(&name.ident), name.ident.span().start().line),
            UseTree::Rename(name) => self.found(&with(&name.ident), name.ident.span().start().line),
            UseTree::Glob(glob) => self.found(before, glob.star_token.spans[0].start().line),
        }
    }

    /// Searches the tokens of a macro, which have no syntax tree.
    fn tokens(&mut self, stream: TokenStream) {
        let flat = tokens::flatten(stream);
        let mut at = 0;
        while let Some(token) = flat.get(at) {
            let mut path = vec![token.text.clone()];
            at += 1;
            while let Some(rest) = flat.get(at..).and_then(|it| tokens::after(it, &[":", ":"]))
                && let Some(next) = rest.first()
            {
                path.push(next.text.clone());
                at += 3;
            }
            if path.len() > 1 {
                self.found(&path, token.line);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_file(&mut self, file: &'ast syn::File) {
        self.children = children(&file.items);
        visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let Some((_, items)) = &item.content else { return };
        let outside = std::mem::replace(&mut self.children, children(items));
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
        self.children = outside;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        // `self` alone is a value.
        if segments.len() > 1
            && let Some(first) = path.segments.first()
        {
            self.found(&segments, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    /// Skipped: `pub(in crate::a)` is not an import.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    /// Skipped: attributes name derives and lints.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

/// The modules that these items declare.
fn children(items: &[syn::Item]) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for item in items {
        if let syn::Item::Mod(module) = item {
            modules.insert(module.ident.to_string());
        }
    }
    modules
}
