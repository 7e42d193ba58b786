//! Which paths count as imports, and which imports violate the order.

use super::*;

const ORDER: Order = Order {
    src: "crates/net/src",
    folder: "",
    files: &["limits", "room/low", "room/high", "room", "top", "lib"],
};

fn source(file: &str, text: &str) -> Source {
    let path = format!("crates/net/src/{file}.rs");
    Source { path, text: text.to_owned(), syntax: syn::parse_file(text).unwrap() }
}

/// The paths that a file in `room/high.rs` imports.
fn paths(text: &str) -> Vec<String> {
    let module = module_of("room/high");
    let found = imports(&syn::parse_file(text).unwrap(), module);
    found.into_iter().map(|import| import.path.join("::")).collect()
}

/// The number of findings if `file` has this text and the other files are empty.
fn findings(file: &str, text: &str) -> usize {
    let sources: Vec<_> =
        ORDER.files.iter().map(|one| source(one, if *one == file { text } else { "" })).collect();
    ORDER.check(&sources).len()
}

#[test]
fn every_form_of_use_is_read() {
    assert_eq!(paths("use super::low::Low;"), ["room::low::Low"]);
    assert_eq!(
        paths("use super::{low::{self, Low as L}, Item};"),
        ["room::low", "room::low::Low", "room::Item"]
    );
    assert_eq!(paths("use crate::{limits, top::*};"), ["limits", "top"]);
    assert_eq!(paths("use self::child::Item;"), ["room::high::child::Item"]);
    assert_eq!(paths("use super::super::top::Top;"), ["top::Top"]);
    assert_eq!(paths("mod child; pub use child::Item;"), ["room::high::child::Item"]);
    assert_eq!(paths("use std::fmt; use tokio::time;"), [""; 0]);
}

#[test]
fn paths_in_code_and_in_macros_count() {
    assert_eq!(paths("fn f() { crate::top::go(); }"), ["top::go"]);
    assert_eq!(paths("fn f() -> super::Item { g!(a, crate::top::X) }"), ["room::Item", "top::X"]);
    assert_eq!(paths("mod inner { use super::super::low::Low; }"), ["room::low::Low"]);
    assert_eq!(paths("pub(in crate::top) fn f(&self) { self.go() }"), [""; 0]);
    assert_eq!(paths("#[derive(crate::top::X)] struct S;"), [""; 0]);
}

#[test]
fn import_of_a_later_file_is_found() {
    assert_eq!(findings("room/high", "use super::low::Low;"), 0);
    assert_eq!(findings("room/high", "use crate::limits;"), 0);
    assert_eq!(findings("room/low", "use super::high::High;"), 1);
    assert_eq!(findings("room/low", "fn f() { crate::top::go() }"), 1);
}

#[test]
fn item_of_the_parent_is_an_import_of_a_later_file() {
    assert_eq!(findings("room/high", "use super::Item;"), 1);
    assert_eq!(findings("room/high", "use crate::Exported;"), 1, "of the root");
    assert_eq!(findings("room", "mod high; use self::high::High;"), 0);
    assert_eq!(findings("top", "use crate::room::Item;"), 0);
}

#[test]
fn imports_from_outside_the_folder_are_not_checked() {
    let order = Order { folder: "room", files: &["room/low", "room/high", "room"], ..ORDER };
    assert!(order.file("crates/net/src/top.rs").is_none());
    let sources = ["room/low", "room/high", "room"].map(|file| source(file, "use crate::top::T;"));
    assert_eq!(order.check(&sources), []);
}

#[test]
fn missing_and_unlisted_files_are_found() {
    let sources: Vec<_> = ORDER.files.iter().skip(1).map(|file| source(file, "")).collect();
    assert_eq!(ORDER.check(&sources).len(), 1, "limits.rs is gone");
    let sources: Vec<_> = ORDER.files.iter().chain(&["new"]).map(|file| source(file, "")).collect();
    assert_eq!(ORDER.check(&sources).len(), 1, "new.rs has no place");
}
