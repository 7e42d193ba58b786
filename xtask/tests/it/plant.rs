//! A small workspace in a temporary directory, clean until something is planted in it.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const PROTO: &str = r#"syntax = "proto3";
package meshwork.v1;
// A greeting.
message Hello {
  bytes name = 1;
  map<string, string> labels = 2;
}
"#;

const RUSTFMT: &str = "edition = \"2024\"\nstyle_edition = \"2024\"\n";

/// The rooms of the small workspace: directory, package, dependencies.
const ROOMS: &[(&str, &str, &str)] = &[
    ("core", "meshwork-core", "multiaddr = \"0.19\"\n"),
    ("net", "meshwork-net", "libp2p = \"0.57\"\nmeshwork-core = { path = \"../core\" }\n"),
    ("node", "meshwork-node", "meshwork-net = { path = \"../net\" }\n"),
    ("api", "meshwork-api", "axum = \"0.8\"\nmeshwork-node = { path = \"../node\" }\n"),
    ("sim", "meshwork-sim", "meshwork-core = { path = \"../core\" }\n"),
    ("testkit", "meshwork-testkit", "libp2p = \"0.57\"\nmeshwork-api = { path = \"../api\" }\n"),
];

/// The output of one run of the command, and whether it succeeded.
pub(crate) struct Outcome {
    pub(crate) output: String,
    pub(crate) success: bool,
}

impl Outcome {
    /// Asserts that the run failed and that one line begins with `place` and contains `words`.
    #[track_caller]
    pub(crate) fn names(&self, place: &str, words: &str) {
        let named = self
            .output
            .lines()
            .any(|line| line.starts_with(&format!("{place}: ")) && line.contains(words));
        assert!(named && !self.success, "no `{place}: ..{words}..` in\n{}", self.output);
    }

    /// Asserts that nothing was found.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        assert!(self.success && self.output.ends_with(", 0 findings\n"), "{}", self.output);
    }
}

/// The small workspace; deleted when dropped.
pub(crate) struct Plot {
    dir: TempDir,
}

impl Plot {
    pub(crate) fn new() -> Self {
        let plot = Self { dir: TempDir::new().expect("a temporary directory") };
        plot.put("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n");
        plot.put("rustfmt.toml", RUSTFMT);
        plot.put("crates/net/proto/meshwork.proto", PROTO);
        for (room, package, dependencies) in ROOMS {
            plot.put(&format!("crates/{room}/Cargo.toml"), &manifest(package, dependencies));
            plot.put(&format!("crates/{room}/src/lib.rs"), "//! A room.\n");
        }
        let written = plot.xtask("gen", &[]);
        assert!(written.success, "{}", written.output);
        plot
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a path in the workspace")).expect("a directory");
        fs::write(path, text).expect("a file in the temporary directory");
    }

    /// Adds to a file, and returns the number of the first line added.
    pub(crate) fn append(&self, path: &str, text: &str) -> usize {
        let old = fs::read_to_string(self.dir.path().join(path)).expect("an existing file");
        self.put(path, &format!("{old}{text}"));
        old.lines().count() + 1
    }

    pub(crate) fn tidy(&self) -> Outcome {
        self.xtask("tidy", &[])
    }

    pub(crate) fn xtask(&self, chore: &str, flags: &[&str]) -> Outcome {
        xtask(&[&[chore], flags].concat(), Some(self.dir.path()))
    }
}

/// Runs the command on the workspace at `root`, or on the one that this test is part of.
pub(crate) fn xtask(args: &[&str], root: Option<&Path>) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(args);
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let texts = [stdout, stderr].map(|text| String::from_utf8(text).expect("text in UTF-8"));
    Outcome { output: texts.concat(), success: status.success() }
}

fn manifest(package: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{dependencies}"
    )
}
