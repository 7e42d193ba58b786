//! `completions`.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::{args::Cli, exit, output::Output};

#[cfg(test)]
mod tests;

/// Prints a script with which the shell completes verbs and flags.
pub(super) fn completions(shell: Shell, out: &Output) -> anyhow::Result<u8> {
    out.data(&script(shell))?;
    Ok(exit::DONE)
}

fn script(shell: Shell) -> Vec<u8> {
    let mut command = visible(&Cli::command());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "meshwork", &mut script);
    script
}

/// The command with the verbs that people may use: scripts would offer the hidden ones as well.
fn visible(command: &Command) -> Command {
    let shown = Command::new("meshwork").args(command.get_arguments());
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .fold(shown, |shown, verb| shown.subcommand(verb.clone()))
}
