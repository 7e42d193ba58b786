//! The project's own commands: `cargo xtask gen` generates code from the schema, `cargo xtask tidy`
//! checks rules that the compiler and clippy cannot, and `cargo xtask test` runs all tests and
//! lists the skipped ones.

mod codegen;
mod suite;
mod tidy;

use std::{
    ffi::OsString,
    io::{Write as _, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::MetadataCommand;

const USAGE: &str = "usage: cargo xtask gen [--check] [--root DIR]
       cargo xtask tidy [--root DIR]
       cargo xtask test [ARGS of cargo test]";

fn main() -> ExitCode {
    run(std::env::args_os().skip(1)).unwrap_or_else(|error| {
        // If standard error is closed, the exit code still reports the failure.
        writeln!(stderr(), "xtask: {error:#}").ok();
        ExitCode::from(2)
    })
}

fn run(args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let mut args = args.peekable();
    if args.next_if(|chore| chore == "test").is_some() {
        return suite::run(args.collect());
    }
    let args = Args::parse(args)?;
    let root = match args.root {
        Some(root) => root,
        None => workspace_root()?,
    };
    match args.chore {
        Chore::Write => {
            let what = if codegen::write(&root)? { "written" } else { "already up to date" };
            writeln!(stdout(), "gen: {}: {what}", codegen::GENERATED)?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Check => answer("gen", &tidy::stale_code(&root)?),
        Chore::Tidy => answer("tidy", &tidy::check(&root)?),
    }
}

/// Prints the findings and a summary line. The exit code is a failure if there are findings.
fn answer(chore: &str, report: &tidy::Report) -> Result<ExitCode> {
    let mut out = stdout().lock();
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    let (files, found) = (report.files, report.findings.len());
    writeln!(out, "{chore}: {files} files checked, {found} findings")?;
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn workspace_root() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cannot find the workspace")?;
    Ok(metadata.workspace_root.into_std_path_buf())
}

enum Chore {
    Write,
    Check,
    Tidy,
}

struct Args {
    chore: Chore,
    root: Option<PathBuf>,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self> {
        let chore = args.next().unwrap_or_default();
        let mut chore = match chore.to_str() {
            Some("gen") => Chore::Write,
            Some("tidy") => Chore::Tidy,
            _ => bail!("no command, or an unknown command\n{USAGE}"),
        };
        let mut root = None;
        while let Some(arg) = args.next() {
            match (arg.to_str(), &chore) {
                (Some("--check"), Chore::Write) => chore = Chore::Check,
                (Some("--root"), _) => {
                    root = Some(args.next().context("--root needs a directory")?.into());
                }
                _ => bail!("unknown argument {}\n{USAGE}", arg.display()),
            }
        }
        Ok(Self { chore, root })
    }
}
