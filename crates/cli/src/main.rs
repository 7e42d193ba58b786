//! The command `meshwork`: arguments in, one verb, an exit code out.
//!
//! Everything runs on one thread's runtime, so that no message has to wake another thread on its
//! way; handlers have threads of their own. What a verb prints is in [`output`], what it ends with in [`exit`] and
//! [`failure`].
//!
//! Absent on purpose: what a node does (`meshwork-node`) and how it is asked (`meshwork-api`).

use std::{io, process::ExitCode};

use clap::Parser;

mod args;
mod bench;
mod commands;
mod demo;
mod exit;
mod failure;
mod home;
mod limits;
mod logging;
mod output;
mod signals;
mod version;

use self::{args::Cli, failure::Failure, output::Output};

/// A task is a handful of small allocations. With this allocator the owner of a bench took 2.6 to
/// 2.9 µs of CPU for a task where it took 3.7 to 4.1 with the system's, by turns in one run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return tell(&told, wants_json()),
    };
    let out = Output::new(&cli.global);
    let as_task = cli.verb.ends_as_its_task();
    let code = match execute(cli, &out) {
        Ok(code) => code,
        Err(error) if output::is_reader_gone(&error) => exit::DONE,
        Err(error) => {
            let failure = Failure::of(error);
            let failure = if as_task { failure.beside_a_task() } else { failure };
            out.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(code)
}

/// Whether the command line asks for JSON, also where the rest of it is wrong.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// Prints help, or what is wrong with the command line. A reader of help that left is no failure.
fn tell(told: &clap::Error, json: bool) -> ExitCode {
    if json && told.use_stderr() {
        let failure = Failure::of_command_line(told);
        output::talk(&failure.line());
        return ExitCode::from(failure.exit);
    }
    match told.print() {
        Err(error) if !told.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            output::talk(&format!("error: {}", output::Unwritable(error)));
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}

fn execute(cli: Cli, out: &Output) -> anyhow::Result<u8> {
    logging::start(cli.global.verbose)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(commands::dispatch(cli, out));
    // A thread that still reads a terminal must not keep the process.
    runtime.shutdown_background();
    code
}
