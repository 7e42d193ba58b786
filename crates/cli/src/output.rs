//! Standard output is data, standard error is talk.
//!
//! Nothing here panics when the reader of standard output is gone: writing data then fails with an
//! [`Unwritable`] error, which ends the command quietly. Standard error that cannot be written is ignored.

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
    progress::{bar, show_progress},
    table::Table,
};

/// How to print.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Data as JSON.
    pub(crate) json: bool,
    /// Ids only, and no talk.
    pub(crate) quiet: bool,
    /// Whether people read standard output.
    pub(crate) stdout_tty: bool,
    /// Whether people read standard error, and see a progress bar.
    pub(crate) stderr_tty: bool,
    colour: bool,
}

impl Output {
    /// As the flags and the two streams ask for.
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

    /// To nobody who looks.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { json: false, quiet: true, stdout_tty: false, stderr_tty: false, colour: false }
    }

    /// Writes data as it is.
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

    /// Writes one JSON value on a line.
    ///
    /// # Errors
    ///
    /// As for [`Self::data`].
    pub(crate) fn value<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        Ok(self.line(serde_json::to_string(value)?)?)
    }

    /// Says something on standard error, unless that is not wanted.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            talk(text.as_ref());
        }
    }

    /// Tells why the command failed.
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

/// Standard output cannot be written. No other error has this type: a broken pipe of the node's socket
/// must never pass for a reader of standard output that left.
#[derive(Debug)]
pub(crate) struct Unwritable(pub(crate) io::Error);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Whether the command failed because the reader of its standard output left.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let stdout = error.downcast_ref::<Unwritable>();
    stdout.is_some_and(|Unwritable(cause)| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// An error of printing, with the place where the unprinted data is `kept` and the command that shows it. A
/// reader that left stays the error that it is.
pub(crate) fn unprinted(error: anyhow::Error, kept: &str, way: String) -> anyhow::Error {
    if is_reader_gone(&error) {
        return error;
    }
    let failure = Failure::of(error);
    Failure { message: format!("{}; {kept}", failure.message), ..failure }.with_hint(way).into()
}

pub(crate) fn talk(text: &str) {
    // Nobody listens: there is nobody to tell.
    writeln!(io::stderr().lock(), "{text}").ok();
}
