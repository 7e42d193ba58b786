//! `completions`.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::{args::Cli, exit, output::Output};

#[cfg(test)]
mod tests;

/// Prints the script that makes a shell complete verbs and flags.
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

/// The command without its hidden verbs, which the script would offer too.
fn visible(command: &Command) -> Command {
    let shown = Command::new("meshwork").args(command.get_arguments());
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .fold(shown, |shown, verb| shown.subcommand(verb.clone()))
}
