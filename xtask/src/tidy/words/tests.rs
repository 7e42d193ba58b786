//! Comments that are found, and similar ones that are not.

use super::*;

/// The lines of the findings in `text`.
fn lines(text: &str) -> Vec<usize> {
    in_text("crates/net/src/a.rs", text).into_iter().map(|finding| finding.line).collect()
}

fn source(path: &str) -> Source {
    let syntax = syn::parse_file("").unwrap();
    Source { path: path.to_owned(), text: String::new(), syntax }
}

#[test]
fn a_doc_comment_of_one_word_is_found() {
    assert_eq!(lines("enum A {\n    /// Which.\n    B,\n    /// Where\n    C,\n}\n"), [2, 4]);
    assert_eq!(lines("//! A module.\n/// Why.\nstruct A;\n"), [2]);
    assert_eq!(lines("/// Re-dial.\nfn a() {}\n"), [1]);
}

#[test]
fn a_comment_of_several_words_a_link_or_code_is_not_found() {
    for text in [
        "/// Which task.\n",
        "/// Which\n/// task.\n",
        "/// Which.\n///\n/// And why.\n",
        "// Full.\n",
        "//! Tasks.\n",
        "//// Which.\n",
        "/// [`Task`].\n",
        "/// `a`\n",
        "///\n",
        "/// 17.\n",
    ] {
        assert_eq!(lines(text), [0_usize; 0], "{text}");
    }
}

#[test]
fn a_phrase_is_found_in_every_kind_of_comment() {
    assert_eq!(lines("// Whoever asks.\n"), [1]);
    assert_eq!(lines("//! For nodes,\n//! for whom it is.\n"), [2]);
    assert_eq!(lines("/// A peer (whom it trusts).\n"), [1]);
    assert_eq!(lines("let a = 1; // whoever reads\n"), [1]);
    assert_eq!(lines("let a = \"http://b\"; // whoever reads\n"), [1]);
    assert_eq!(lines("// The node is told that it ends.\n"), [1]);
    assert_eq!(lines("// whoever tells whom\n"), [1, 1]);
}

#[test]
fn a_phrase_that_spans_two_lines_is_found_at_its_first_word() {
    assert_eq!(lines("fn a() {\n    // The owner is told\n    // that it ends.\n}\n"), [2]);
}

#[test]
fn other_words_and_texts_in_code_are_not_found() {
    for text in [
        "// The owner is told. That it ends is known.\n",
        "// The owner is told\n\n// that it ends.\n",
        "// The owner is told\n/// that it ends.\n",
        "let a = \"http://whoever/whom\";\n",
        "let whom = \"whoever\";\n",
        "// Those who ask.\n",
    ] {
        assert_eq!(lines(text), [0_usize; 0], "{text}");
    }
}

#[test]
fn sources_are_checked_and_tests_are_not() {
    for path in ["crates/net/src/a.rs", "xtask/src/tidy/words.rs"] {
        assert!(is_checked(&source(path)), "{path}");
    }
    for path in [
        "crates/net/src/a/tests.rs",
        "crates/net/src/tests/a.rs",
        "crates/net/tests/it/main.rs",
        "crates/bench/benches/engine.rs",
        "xtask/tests/it/main.rs",
        "seed-program/src/main.rs",
        crate::codegen::GENERATED,
    ] {
        assert!(!is_checked(&source(path)), "{path}");
    }
}
