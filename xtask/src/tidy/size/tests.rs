//! Which types are too large.

use super::*;

fn source(file: &str, text: String) -> Source {
    let syntax = syn::parse_file(&text).unwrap();
    Source { path: format!("crates/net/src/{file}.rs"), text, syntax }
}

fn fields(count: usize) -> String {
    let fields: String = (0..count).map(|n| format!("f{n}: u8,")).collect();
    format!("struct Wide {{ {fields} }}")
}

fn methods(attribute: &str, count: usize) -> String {
    let methods: String = (0..count).map(|n| format!("{attribute} fn f{n}(&self) {{}}")).collect();
    format!("{{ {methods} }}")
}

#[test]
fn seventeen_fields_are_one_too_many() {
    assert_eq!(check_crate("net", &[source("a", fields(MAX_FIELDS))]), []);
    assert_eq!(check_crate("net", &[source("a", fields(MAX_FIELDS + 1))]).len(), 1);
}

#[test]
fn methods_of_all_blocks_count_together() {
    let half = MAX_METHODS / 2;
    let first = source("a", format!("struct Busy; impl Busy {}", methods("", half)));
    let block = |count| source("b", format!("impl Run for super::a::Busy {}", methods("", count)));
    assert_eq!(check_crate("net", &[first, block(half)]), []);
    let first = source("a", format!("struct Busy; impl Busy {}", methods("", half)));
    assert_eq!(check_crate("net", &[first, block(half + 1)]).len(), 1);
}

#[test]
fn functions_for_tests_do_not_count() {
    let own = format!("struct Busy; impl Busy {}", methods("#[cfg(test)]", MAX_METHODS + 1));
    assert_eq!(check_crate("net", &[source("a", own)]), []);
    let block = format!("#[cfg(test)] impl Busy {}", methods("", MAX_METHODS + 1));
    assert_eq!(check_crate("net", &[source("a", block)]), []);
}

#[test]
fn namesakes_are_counted_apart() {
    let one = |file| source(file, format!("struct Busy; impl Busy {}", methods("", MAX_METHODS)));
    assert_eq!(check_crate("net", &[one("a"), one("b")]), []);
}
