//! The command `meshwork`: parses the arguments, runs one verb, and returns an exit code.
//!
//! Everything runs on a single-threaded runtime, so that no message has to wake another thread;
//! handlers run on threads of their own. The output of a verb is in [`output`], its exit code in
//! [`exit`] and [`failure`].
//!
//! Absent on purpose: the node (`meshwork-node`) and its API (`meshwork-api`).

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

/// A task makes a handful of small allocations. With this allocator the owner of a bench took 2.6
/// to 2.9 µs of CPU per task, with the system's allocator 3.7 to 4.1, alternating in one run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tell(&error, wants_json()),
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

/// Whether the command line contains `--json`, even if it is invalid otherwise.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// Prints help, or the error in the command line. A closed pipe is not an error for help.
fn tell(outcome: &clap::Error, json: bool) -> ExitCode {
    if json && outcome.use_stderr() {
        let failure = Failure::of_command_line(outcome);
        output::talk(&failure.line());
        return ExitCode::from(failure.exit);
    }
    match outcome.print() {
        Err(error) if !outcome.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            output::talk(&format!("error: {}", output::Unwritable(error)));
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => {
            u8::try_from(outcome.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn execute(cli: Cli, out: &Output) -> anyhow::Result<u8> {
    logging::start(cli.global.verbose)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(commands::dispatch(cli, out));
    // A thread that is still reading from a terminal must not keep the process alive.
    runtime.shutdown_background();
    code
}
