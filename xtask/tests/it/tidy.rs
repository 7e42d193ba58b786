//! One test per rule: tidy names each violation with its line, and accepts similar valid code.

use crate::plant::{Plot, xtask};

/// Writes `text` to `path` in a clean workspace, and asserts the finding of tidy at one line.
#[track_caller]
fn planted(path: &str, text: &str, line: usize, words: &str) {
    let plot = Plot::new();
    plot.put(path, text);
    plot.tidy().names(&format!("{path}:{line}"), words);
}

/// As [`planted`], for one line of code under a header: line 2.
#[track_caller]
fn planted_code(path: &str, code: &str, words: &str) {
    planted(path, &format!("//! A module.\n{code}\n"), 2, words);
}

#[track_caller]
fn planted_dependency(room: &str, dependency: &str, words: &str) {
    let plot = Plot::new();
    let path = format!("crates/{room}/Cargo.toml");
    let line = plot.append(&path, &format!("{dependency}\n"));
    plot.tidy().names(&format!("{path}:{line}"), words);
}

#[test]
fn this_workspace_is_tidy() {
    xtask(&["tidy"], None).is_clean();
}

#[test]
fn a_clean_workspace_is_found_clean() {
    Plot::new().tidy().is_clean();
}

#[test]
fn file_above_600_lines_is_named() {
    let full = format!("//! Long.\n{}", "// A line.\n".repeat(599));
    let plot = Plot::new();
    plot.put("crates/core/src/long.rs", &full);
    plot.tidy().is_clean();
    plot.append("crates/core/src/long.rs", "// One more.\n");
    plot.tidy().names("crates/core/src/long.rs:601", "601 lines, 600 are allowed");
}

#[test]
fn file_without_a_header_is_named() {
    planted("crates/core/src/bare.rs", "fn bare() {}\n", 1, "no `//!` header");
    planted("crates/core/src/bare.rs", "", 1, "no `//!` header");
    planted("crates/core/tests/it/main.rs", "fn bare() {}\n", 1, "no `//!` header");
    let plot = Plot::new();
    plot.put("crates/core/src/bare/tests.rs", "fn bare() {}\n");
    plot.tidy().is_clean();
}

#[test]
fn mod_rs_is_named() {
    planted("crates/core/src/task/mod.rs", "//! Tasks.\n", 1, "a mod.rs");
}

#[test]
fn tests_inside_a_module_are_named() {
    planted_code("crates/core/src/lib.rs", "mod tests { }", "sibling file tests.rs");
}

#[test]
fn invalid_rust_is_named() {
    planted("crates/core/src/lib.rs", "//! A room.\n\nfn broken( {}\n", 3, "not valid Rust");
}

#[test]
fn words_of_comments_are_checked_outside_of_tests() {
    planted_code("crates/testkit/src/lib.rs", "/// Which.\nstruct A;", "a doc comment of one word");
    planted_code("crates/testkit/src/lib.rs", "// For whom it is.", "\"whom\" in a comment");
    let plot = Plot::new();
    plot.put("crates/testkit/tests/it/main.rs", "//! Tests.\n// For whom it is.\n");
    plot.tidy().is_clean();
}

#[test]
fn unfinished_work_and_ignored_tests_are_named() {
    let word = ["TO", "DO"].concat();
    planted_code("crates/node/src/lib.rs", &format!("// {word}: later"), &word);
    let word = ["FIX", "ME"].concat();
    planted_code("crates/node/src/lib.rs", &format!("/* {word} */"), &word);
    planted_code("crates/node/src/tests.rs", "#[ignore] fn slow() {}", "ignored test");
    planted_code(
        "crates/node/src/tests.rs",
        "#[cfg_attr(windows, ignore)] fn slow() {}",
        "ignored test",
    );
}

#[test]
fn struct_above_16_fields_is_named() {
    let fields: String = (0..17).map(|n| format!("f{n}: u8, ")).collect();
    planted_code("crates/net/src/lib.rs", &format!("struct Wide {{ {fields} }}"), "has 17 fields");
    let plot = Plot::new();
    plot.put("crates/net/src/tests.rs", &format!("struct Wide {{ {fields} }}"));
    plot.tidy().is_clean();
}

#[test]
fn type_above_60_methods_is_named() {
    let methods: String = (0..61).map(|n| format!("fn f{n}(&self) {{}} ")).collect();
    planted_code("crates/net/src/lib.rs", &format!("impl Busy {{ {methods} }}"), "has 61 methods");
}

#[test]
fn import_of_a_later_file_is_named() {
    let plot = Plot::new();
    plot.put("ARCHITECTURE.md", "# The map\n");
    plot.put("crates/net/src/limits.rs", "//! Limits.\nuse crate::lib_item;\n");
    plot.tidy().names("crates/net/src/limits.rs:2", "imports lib.rs, which comes later");
    plot.tidy().names("crates/net/src/event_loop.rs:1", "file not found");
    plot.put("crates/net/src/unlisted.rs", "//! A file.\n");
    plot.tidy().names("crates/net/src/unlisted.rs:1", "add it after the files that it imports");
}

#[test]
fn limit_without_a_doc_comment_is_named() {
    planted_code("crates/net/src/limits.rs", "const QUEUE: usize = 4;", "`QUEUE` has no doc");
    planted_code("crates/net/src/limits.rs", "mod a { pub const B: u8 = 4; }", "`B` has no doc");
    let plot = Plot::new();
    plot.put(
        "crates/net/src/limits.rs",
        "//! Limits.\n/// Why so many.\nconst QUEUE: usize = 4;\n",
    );
    plot.put("crates/net/src/other.rs", "//! Not limits.\nconst QUEUE: usize = 4;\n");
    plot.tidy().is_clean();
}

#[test]
fn a_channel_without_a_bound_is_named() {
    for code in [
        "fn f() { let (a, b) = tokio::sync::mpsc::unbounded_channel::<u8>(); }",
        "use tokio::sync::mpsc::unbounded_channel as open;",
        "fn f() { let (a, b) = futures::channel::mpsc::unbounded::<u8>(); }",
        "use futures::channel::{mpsc::{self, unbounded}, oneshot};",
        "fn f() { let (a, b) = std::sync::mpsc::channel(); }",
        "use std::sync::{mpsc::{Sender, channel}, Arc};",
        "fn f() { let (a, b) = mpsc::channel(); }",
        "fn f() { let (a, b) = mpsc :: channel::<Box<dyn Fn() -> Vec<u8>>>(); }",
        "fn f() { let (a, b) = flume::unbounded(); }",
        "fn f() { run!(flume::unbounded()); }",
    ] {
        planted_code("crates/core/src/queue.rs", code, "a channel without a bound");
    }
}

#[test]
fn bounded_channel_and_comments_on_channels_are_allowed() {
    let plot = Plot::new();
    plot.put(
        "crates/core/src/queue.rs",
        r##"//! Not flume::unbounded().
/// Not `tokio::sync::mpsc::unbounded_channel()`.
fn f() {
    // std::sync::mpsc::channel(
    /* flume::unbounded() /* unbounded_channel() */ */
    let text = "mpsc::unbounded() // unbounded_channel()";
    let raw = r#"flume::unbounded() " unbounded_channel()"#;
    let (a, b) = mpsc::channel(limits::QUEUE);
    let (c, d) = mpsc::channel::<Vec<u8>>(limits::QUEUE);
    let (e, f) = std::sync::mpsc::sync_channel(4);
    let unbounded = range.unbounded();
}
"##,
    );
    plot.tidy().is_clean();
}

#[test]
fn a_swarm_behind_a_lock_is_named() {
    for code in [
        "type Shared = Arc<Mutex<Swarm<Behaviour>>>;",
        "type Shared = std::sync::Arc<tokio::sync::Mutex<libp2p::Swarm<Behaviour>>>;",
        "type Shared = Arc<std::sync::RwLock<Swarm<Behaviour>>>;",
    ] {
        planted_code("crates/net/src/shared.rs", code, "a swarm behind a lock");
    }
    let plot = Plot::new();
    plot.put("crates/net/src/shared.rs", "//! Fine.\ntype Shared = Arc<Mutex<SwarmStatus>>;\n");
    plot.tidy().is_clean();
}

#[test]
fn an_await_in_an_event_handler_is_named() {
    for code in [
        "impl Loop { fn on_dial(&mut self) { if a { b(c.await); } } }",
        "async fn on_dial() { self.send(|x| x.await) }",
        "trait Loop { async fn handle_swarm(&mut self) { self.x.await?; } }",
        "mod inner { async fn handle_event() { x.await } }",
        "fn run() { async fn handle_x() { x.await } }",
        "async fn on_dial() { debug!(\"{}\", x.send(vec![y.await])); }",
    ] {
        planted_code("crates/net/src/event_loop.rs", code, "`.await` in the event handler");
    }
    let many =
        "//! A loop.\nasync fn on_dial() {\n    async { a.await };\n\n    b\n        .await;\n}\n";
    planted("crates/node/src/driver.rs", many, 6, "in the event handler `on_dial`");
}

#[test]
fn waiting_macro_in_an_event_handler_is_named() {
    planted_code(
        "crates/net/src/event_loop.rs",
        "async fn on_dial() { tokio::select! { x = y => {} } }",
        "`select!` in the event handler `on_dial`",
    );
}

#[test]
fn an_async_event_handler_is_named() {
    planted_code(
        "crates/node/src/driver.rs",
        "impl Driver { async fn handle_event(&mut self) {} }",
        "`handle_event` is async",
    );
}

#[test]
fn await_in_a_spawned_task_is_allowed() {
    let allowed = r#"//! A loop.
impl Loop {
    fn handle_event(&mut self) {
        // x.await
        let text = "x.await";
        self.tasks.spawn(async move { x.await });
        self.tasks.spawn_with(async |x| x.await);
        self.tasks.spawn(task!(async move { x.await }, async |x| { x.await }));
        async fn nested() {
            x.await
        }
    }
    async fn run(&mut self) {
        x.await
    }
    async fn once(&mut self) {
        x.await
    }
}
"#;
    let plot = Plot::new();
    plot.put("crates/net/src/event_loop.rs", allowed);
    plot.put("crates/net/src/event_loop/tests.rs", "//! T.\nasync fn on_x_it_y() { x.await }\n");
    plot.put("crates/api/src/routes.rs", "//! Not a loop.\nasync fn handle_get() { x.await }\n");
    plot.tidy().is_clean();
}

#[test]
fn forbidden_dependency_is_named() {
    planted_dependency(
        "core",
        "meshwork-net = { path = \"../net\" }",
        "`meshwork-core` may not depend on `meshwork-net`",
    );
    let node = "node]\npath = \"../node\"\npackage = \"meshwork-node\"\n";
    let plot = Plot::new();
    plot.append("crates/net/Cargo.toml", &format!("[dev-dependencies.{node}"));
    plot.tidy().is_clean();
    let section = format!("[target.'cfg(unix)'.dependencies.{node}");
    let line = plot.append("crates/net/Cargo.toml", &section);
    plot.tidy().names(
        &format!("crates/net/Cargo.toml:{line}"),
        "`meshwork-net` may not depend on `meshwork-node`",
    );
}

#[test]
fn library_outside_its_crate_is_named() {
    planted_dependency("node", "libp2p = \"0.57\"", "may not name `libp2p`");
    planted_dependency("core", "libp2p-swarm = \"0.47\"", "may not name `libp2p-swarm`");
    planted_dependency("api", "multiaddr = \"0.19\"", "may not name `multiaddr`");
    planted_dependency("node", "libp2p-identity = \"0.3\"", "may not name `libp2p-identity`");
    planted_dependency("testkit", "axum = \"0.8\"", "may not name `axum`");
}

#[test]
fn dev_dependencies_are_not_checked() {
    let plot = Plot::new();
    plot.append("crates/core/Cargo.toml", "[dev-dependencies]\nlibp2p = \"0.57\"\n");
    plot.append(
        "crates/net/Cargo.toml",
        "[dev-dependencies]\nmeshwork-testkit = { path = \"../testkit\" }\n",
    );
    plot.tidy().is_clean();
}

#[test]
fn an_unknown_crate_is_named() {
    let plot = Plot::new();
    plot.put("crates/extra/Cargo.toml", "[package]\nname = \"extra\"\nversion = \"0.1.0\"\n");
    plot.put("crates/extra/src/lib.rs", "//! A room without a row.\n");
    plot.tidy().names("crates/extra/Cargo.toml:1", "`extra` is not in the table");
}

#[test]
fn stale_generated_code_is_named_and_regenerated() {
    let generated = "crates/net/src/wire/generated.rs";
    let plot = Plot::new();
    let end = plot.append(generated, "fn by_hand() {}\n");
    plot.tidy().names(&format!("{generated}:{end}"), "run `cargo xtask gen`");
    plot.xtask("gen", &["--check"]).names(&format!("{generated}:{end}"), "run `cargo xtask gen`");
    assert!(plot.xtask("gen", &[]).success, "the command in the message updates the code");
    plot.tidy().is_clean();
    plot.xtask("gen", &["--check"]).is_clean();

    plot.append("crates/net/proto/meshwork.proto", "message Bye {}\n");
    plot.tidy().names(&format!("{generated}:{end}"), "run `cargo xtask gen`");
}

#[test]
fn invalid_schema_ends_the_run() {
    let plot = Plot::new();
    plot.append("crates/net/proto/meshwork.proto", "message {\n");
    let outcome = plot.tidy();
    assert!(
        !outcome.success && outcome.output.contains("the schema does not compile"),
        "{}",
        outcome.output
    );
}

#[test]
fn a_second_package_in_the_schema_is_refused() {
    let plot = Plot::new();
    plot.put("crates/net/proto/other.proto", "syntax = \"proto3\";\npackage other.v1;\n");
    let outcome = plot.xtask("gen", &[]);
    assert!(
        !outcome.success && outcome.output.contains("it must be \"meshwork.v1\""),
        "{}",
        outcome.output
    );
}

#[test]
fn an_unknown_argument_is_refused() {
    for args in
        [&["sweep"][..], &["tidy", "--check"], &["gen", "--force"], &["tidy", "--root"], &[]]
    {
        let outcome = xtask(args, None);
        assert!(
            !outcome.success && outcome.output.contains("xtask: "),
            "{args:?}: {}",
            outcome.output
        );
    }
}

#[test]
fn missing_item_or_test_in_the_seed_table_is_named() {
    let plot = Plot::new();
    plot.put("docs/protocol.md", "What travels.\n");
    plot.put("crates/core/src/made.rs", "//! Made.\n\npub struct Made;\n");
    plot.put("crates/core/src/made/tests.rs", "//! Tests.\n\nfn it_is_made() {}\n");
    let row = |ours: &str, test: &str| {
        let head = "| seed | ours | what | bound | test |\n|---|---|---|---|---|\n";
        format!(
            "{head}| a | `crates/core/src/made{ours}` | b | - | `crates/core/src/made{test}` |\n"
        )
    };
    plot.put("docs/seed.md", &row(".rs#Made", "/tests.rs#it_is_made"));
    let promise = "# Promises\n\n**R1. It is made.**\n`crates/core/src/made/tests.rs#it_is_made`\n";
    plot.put("docs/promises.md", promise);
    plot.put("docs/threat-model.md", "# Threat model\n");
    plot.tidy().is_clean();
    plot.put("docs/promises.md", &promise.replace("#it_is", "#it_was"));
    plot.tidy().names("docs/promises.md:3", "it_was_made not found");
    plot.put("docs/promises.md", "# Promises\n\n**R1. Believe it.**\n");
    plot.tidy().names("docs/promises.md:3", "no place");
    plot.put("docs/promises.md", promise);
    plot.put("docs/seed.md", &row(".rs#Lost", "/tests.rs#it_is_made"));
    plot.tidy().names("docs/seed.md:3", "Lost not found");
    plot.put("docs/seed.md", &row(".rs#Made", "/tests.rs#it_is_lost"));
    plot.tidy().names("docs/seed.md:3", "it_is_lost not found");
}

#[test]
fn missing_test_or_row_of_the_threat_model_is_named() {
    const MODEL: &str = "docs/threat-model.md";
    let plot = Plot::new();
    plot.put("docs/protocol.md", "What travels (S-01).\n");
    plot.put("docs/seed.md", "# Names\n");
    plot.put("docs/promises.md", "# Promises\n");
    plot.put("crates/core/src/tests.rs", "//! Attacks (S-01, A10).\n\nfn it_holds() {}\n");
    let head = "| code | attack | what | test |\n|---|---|---|---|\n";
    let held = "| S-01 | a | b | `crates/core/src/tests.rs#it_holds`; open: c |\n";
    let open = "| A10 | a | b | open |\n";
    let model = [head, held, open].concat();
    plot.put(MODEL, &model);
    plot.tidy().is_clean();
    for (from, to, words) in [
        ("#it_holds", "#it_held", "it_held not found"),
        ("`crates/core/src/tests.rs#it_holds`; open: c", "closed", "no place"),
        ("| S-01 |", "| Strange |", "not a code"),
        ("| S-01 | a |", "| S-01 |", "3 cells"),
        ("| S-01 | a |", "| S-01 | |", "an empty cell"),
    ] {
        plot.put(MODEL, &model.replace(from, to));
        plot.tidy().names(&format!("{MODEL}:3"), words);
    }
    plot.put(MODEL, &model.replace("A10", "S-01"));
    plot.tidy().names(&format!("{MODEL}:4"), "a second row for S-01");
    plot.put(MODEL, &model);
    // These words are not codes, or not of a family of this table.
    plot.put("docs/other.md", "From K to N-1, UTF-16, R13, CRC-32.\n");
    plot.tidy().is_clean();
    for code in ["S-02", "T-01", "A9"] {
        plot.put("docs/other.md", &format!("# Other\n\nSee `{code}`.\n"));
        plot.tidy().names("docs/other.md:3", &format!("{code} has no row"));
    }
}
