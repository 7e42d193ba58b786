//! Checks the size of types: the number of fields of a struct, and of methods of a type.
//!
//! A type above these bounds owns more than one thing. Functions for tests do not count.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use syn::{
    Attribute, Fields, ImplItem, Type,
    visit::{self, Visit},
};

use super::{
    Finding,
    source::{self, Source},
};

#[cfg(test)]
mod tests;

/// The crates whose types are counted.
const CRATES: &[&str] = &["api", "cli", "core", "exec", "net", "node", "sim"];

/// Maximum named fields of one struct.
const MAX_FIELDS: usize = 16;

/// Maximum methods of one type, over all its `impl` blocks.
const MAX_METHODS: usize = 60;

/// An exception: the crate, the type, and the reason.
type Except = (&'static str, &'static str, &'static str);

/// Structs with more fields: plain records without rules of their own.
const RECORDS: &[Except] = &[
    ("api", "GroupView", "JSON of a group"),
    ("api", "NodeView", "JSON of a node"),
    ("api", "PeerView", "JSON of a peer"),
    ("api", "TaskCounts", "JSON: one number for each event"),
    ("api", "TaskView", "JSON of a task"),
    ("cli", "RunArgs", "one field for each option of the command"),
    ("cli", "UpArgs", "one field for each option of the command"),
    ("core", "PeerInfo", "what is known about a peer, for readers"),
    ("net", "Counters", "one number for each kind of refusal"),
    ("net", "NetCounters", "one number for each kind of refusal"),
    ("net", "Parts", "the parameters of `new`"),
    ("node", "StoredTask", "a task as it is stored"),
    ("sim", "Faults", "the configuration of a simulated history"),
    ("sim", "Scenario", "the configuration of a simulated history"),
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut large = Vec::new();
    for name in CRATES {
        let mut sources = Vec::new();
        let folder = root.join("crates").join(name).join("src");
        if !folder.exists() {
            continue;
        }
        for path in source::paths(&folder, &["rs"])? {
            // A file that is not Rust is found elsewhere.
            if let Ok(source) = source::read(root, &path)?
                && !source.is_test()
                && !source.is_generated()
            {
                sources.push(source);
            }
        }
        large.extend(too_large(name, &sources));
    }
    if root.join("ARCHITECTURE.md").exists() {
        findings.extend(needless(&large));
    }
    findings.extend(large.into_iter().filter(|it| !it.is_excepted()).map(|it| it.finding));
    Ok(findings)
}

/// A type above a bound.
struct Large {
    of: &'static str,
    ty: String,
    /// Whether it has too many fields; otherwise it has too many methods.
    by_fields: bool,
    finding: Finding,
}

impl Large {
    fn is_excepted(&self) -> bool {
        self.by_fields && RECORDS.iter().any(|(of, ty, _)| *of == self.of && *ty == self.ty)
    }
}

/// The types of a crate that are above a bound.
fn too_large(of: &'static str, sources: &[Source]) -> Vec<Large> {
    let mut types = Types::default();
    for source in sources {
        types.path.clone_from(&source.path);
        types.visit_file(&source.syntax);
    }
    let mut large = Vec::new();
    for Struct { name: ty, path, line, fields } in &types.structs {
        if *fields > MAX_FIELDS {
            let what = format!(
                "`{ty}` has {fields} fields, {MAX_FIELDS} are allowed; move fields that belong \
                 together to a new type"
            );
            let finding = Finding::new(path, *line, what);
            large.push(Large { of, ty: ty.clone(), by_fields: true, finding });
        }
    }
    for Methods { ty, path, line, count } in types.methods() {
        if count > MAX_METHODS {
            let what = format!(
                "`{ty}` has {count} methods, {MAX_METHODS} are allowed; move some fields and \
                 their methods to a new type"
            );
            let finding = Finding::new(&path, line, what);
            large.push(Large { of, ty, by_fields: false, finding });
        }
    }
    large
}

/// Exceptions for types that are within the bounds.
fn needless(large: &[Large]) -> Vec<Finding> {
    let is_needed = |(of, ty, _): &&Except| large.iter().any(|it| it.of == *of && it.ty == *ty);
    let needless = RECORDS.iter().filter(|exception| !is_needed(exception));
    let what =
        |(of, ty, _): &Except| format!("the exception for `{ty}` of {of} is not needed; remove it");
    needless.map(|it| Finding::new("xtask/src/tidy/size.rs", 1, what(it))).collect()
}

struct Struct {
    name: String,
    path: String,
    line: usize,
    fields: usize,
}

/// The methods of one type, and the place of its first block.
struct Methods {
    ty: String,
    path: String,
    line: usize,
    count: usize,
}

/// One `impl` block.
struct Block {
    ty: String,
    path: String,
    line: usize,
    methods: usize,
}

/// The types of one crate.
#[derive(Default)]
struct Types {
    /// The current file.
    path: String,
    structs: Vec<Struct>,
    blocks: Vec<Block>,
    /// Every struct and enum, and the file that declares it.
    declared: Vec<(String, String)>,
}

impl Types {
    /// The methods of each type. If several types have the same name, a block belongs to the type
    /// in its own file.
    fn methods(&self) -> Vec<Methods> {
        let mut all: BTreeMap<(&str, &str), Methods> = BTreeMap::new();
        for Block { ty, path, line, methods } in &self.blocks {
            let namesakes = self.declared.iter().filter(|(name, _)| name == ty).count();
            let is_own = self.declared.iter().any(|(name, of)| (name, of) == (ty, path));
            let of = if namesakes > 1 && is_own { path.as_str() } else { "" };
            let first = || Methods { ty: ty.clone(), path: path.clone(), line: *line, count: 0 };
            all.entry((ty, of)).or_insert_with(first).count += methods;
        }
        all.into_values().collect()
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let fields = match &item.fields {
            Fields::Named(fields) => fields.named.len(),
            Fields::Unnamed(_) | Fields::Unit => 0,
        };
        let (name, path) = (item.ident.to_string(), self.path.clone());
        self.declared.push((name.clone(), path.clone()));
        let line = item.ident.span().start().line;
        self.structs.push(Struct { name, path, line, fields });
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.declared.push((item.ident.to_string(), self.path.clone()));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if is_for_tests(&item.attrs) {
            return;
        }
        if let Type::Path(ty) = &*item.self_ty
            && let Some(last) = ty.path.segments.last()
        {
            let is_method = |item: &&ImplItem| matches!(item, ImplItem::Fn(method) if !is_for_tests(&method.attrs));
            self.blocks.push(Block {
                ty: last.ident.to_string(),
                path: self.path.clone(),
                line: last.ident.span().start().line,
                methods: item.items.iter().filter(is_method).count(),
            });
        }
        visit::visit_item_impl(self, item);
    }
}

/// Whether something is compiled for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|it| it.is_ident("test"))
    })
}
