//! Types at and above the bounds.

use super::*;

fn source(file: &str, text: String) -> Source {
    let syntax = syn::parse_file(&text).unwrap();
    Source { path: format!("crates/net/src/{file}.rs"), text, syntax }
}

/// Number of types in these files that are above a bound.
fn count(sources: &[Source]) -> usize {
    too_large("net", sources).len()
}

fn field_list(count: usize) -> String {
    (0..count).map(|n| format!("f{n}: u8,")).collect()
}

fn fields(count: usize) -> String {
    format!("struct Wide {{ {} }}", field_list(count))
}

fn methods(attribute: &str, count: usize) -> String {
    let methods: String = (0..count).map(|n| format!("{attribute} fn f{n}(&self) {{}}")).collect();
    format!("{{ {methods} }}")
}

#[test]
fn seventeen_fields_are_one_too_many() {
    assert_eq!(count(&[source("a", fields(MAX_FIELDS))]), 0);
    assert_eq!(count(&[source("a", fields(MAX_FIELDS + 1))]), 1);
}

#[test]
fn methods_of_all_blocks_count_together() {
    let half = MAX_METHODS / 2;
    let first = source("a", format!("struct Busy; impl Busy {}", methods("", half)));
    let block = |count| source("b", format!("impl Run for super::a::Busy {}", methods("", count)));
    assert_eq!(count(&[first, block(half)]), 0);
    let first = source("a", format!("struct Busy; impl Busy {}", methods("", half)));
    assert_eq!(count(&[first, block(half + 1)]), 1);
}

#[test]
fn functions_for_tests_do_not_count() {
    let own = format!("struct Busy; impl Busy {}", methods("#[cfg(test)]", MAX_METHODS + 1));
    assert_eq!(count(&[source("a", own)]), 0);
    let block = format!("#[cfg(test)] impl Busy {}", methods("", MAX_METHODS + 1));
    assert_eq!(count(&[source("a", block)]), 0);
}

#[test]
fn types_with_the_same_name_are_counted_separately() {
    let one = |file| source(file, format!("struct Busy; impl Busy {}", methods("", MAX_METHODS)));
    assert_eq!(count(&[one("a"), one("b")]), 0);
}

#[test]
fn needless_exception_is_found() {
    let (of, ty, _) = RECORDS[0];
    let record = |fields| source("a", format!("struct {ty} {{ {} }}", field_list(fields)));
    let needed = too_large(of, &[record(MAX_FIELDS + 1)]);
    assert!(needed.iter().all(Large::is_excepted));
    let all = RECORDS.len();
    assert_eq!(needless(&needed).len(), all - 1);
    assert_eq!(needless(&too_large(of, &[record(MAX_FIELDS)])).len(), all);
}
