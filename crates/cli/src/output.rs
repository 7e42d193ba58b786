//! Data goes to standard output, messages to standard error.
//!
//! Nothing here panics when the reader of standard output is gone: writing data then fails with
//! [`Unwritable`], which ends the command silently. Errors of standard error are ignored.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

use crate::{args::Global, failure::Failure};

pub(crate) mod format;
mod progress;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    progress::{bar, byte_bar, show_progress},
    table::Table,
};

/// The format of the output.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Print data as JSON.
    pub(crate) json: bool,
    /// Print ids only, and no messages.
    pub(crate) quiet: bool,
    /// Whether standard output is a terminal.
    pub(crate) stdout_tty: bool,
    /// Whether standard error is a terminal, which can show a progress bar.
    pub(crate) stderr_tty: bool,
    colour: bool,
}

impl Output {
    /// The format according to the flags, the environment and the two streams.
    pub(crate) fn new(global: &Global) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json: global.json,
            quiet: global.quiet,
            stdout_tty: io::stdout().is_terminal(),
            stderr_tty: io::stderr().is_terminal(),
            colour: !global.no_color && !no_color,
        }
    }

    /// Output for tests: no messages, no terminal.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { json: false, quiet: true, stdout_tty: false, stderr_tty: false, colour: false }
    }

    /// Writes data unchanged.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or cannot be written.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Unwritable> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Unwritable)
    }

    /// Writes one line of data.
    ///
    /// # Errors
    ///
    /// As for [`Self::data`].
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<(), Unwritable> {
        let mut line = text.as_ref().to_owned();
        line.push('\n');
        self.data(line.as_bytes())
    }

    /// Writes one JSON value as a line.
    ///
    /// # Errors
    ///
    /// As for [`Self::data`].
    pub(crate) fn value<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        Ok(self.line(serde_json::to_string(value)?)?)
    }

    /// Prints a message on standard error, unless `quiet` is set.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            talk(text.as_ref());
        }
    }

    /// Prints why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            return talk(&failure.line());
        }
        let red = self.colour && self.stderr_tty;
        let word = if red { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        let mut text = format!("{word} {}", format::printable(&failure.message));
        if let Some(cause) = &failure.cause {
            text.push_str(&format!("\n  cause: {}", format::printable(cause)));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\n  try:   {}", format::printable(hint)));
        }
        talk(&text);
    }

    /// Whether to draw a progress bar.
    pub(crate) fn shows_bars(&self) -> bool {
        self.stderr_tty && !self.quiet
    }
}

/// Standard output cannot be written. A separate type: a broken pipe of the node's socket must not
/// be taken for a closed standard output.
#[derive(Debug)]
pub(crate) struct Unwritable(pub(crate) io::Error);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Whether the command failed because the reader of standard output is gone.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let stdout = error.downcast_ref::<Unwritable>();
    stdout.is_some_and(|Unwritable(cause)| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Adds to a printing error where the data is `kept` and which command shows it. Leaves the error
/// unchanged if the reader of standard output is gone.
pub(crate) fn unprinted(error: anyhow::Error, kept: &str, way: String) -> anyhow::Error {
    if is_reader_gone(&error) {
        return error;
    }
    let failure = Failure::of(error);
    Failure { message: format!("{}; {kept}", failure.message), ..failure }.with_hint(way).into()
}

pub(crate) fn talk(text: &str) {
    // If standard error cannot be written, no message can be printed.
    writeln!(io::stderr().lock(), "{text}").ok();
}
