//! The failure of a command: its message, its cause, and what to try.

use std::io;

use meshwork_api::{BindError, ClientError, ErrorCode, TransferError};
use meshwork_blob::folder::PlanError;
use meshwork_node::{BuildError, HomeError, InternalError, JournalError, NetworkError};

use crate::{exit, output::format};

#[cfg(test)]
mod tests;

/// The failure of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: u8,
    /// The stable code in JSON: that of the node's answer, or one of the command line.
    pub(crate) code: ErrorCode,
    /// The error in one sentence.
    pub(crate) message: String,
    /// The underlying cause.
    pub(crate) cause: Option<String>,
    /// What the user can do about the error.
    pub(crate) hint: Option<String>,
    /// Whether the command failed on its own files, without the node.
    pub(crate) is_local: bool,
}

impl Failure {
    /// Creates a failure with this exit code, stable code and message.
    pub(crate) fn new(exit: u8, code: impl Into<ErrorCode>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { exit, code, message, cause: None, hint: None, is_local: false }
    }

    /// A wrong flag or argument.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message)
    }

    pub(crate) fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Converts a command line error of clap.
    pub(crate) fn of_command_line(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let mut parts =
            text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let message = parts.next().unwrap_or_default();
        // The list of subcommands would include hidden ones.
        let message = message.split(" [subcommands:").next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let hint = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        let failure = Self::usage(message);
        if hint.is_empty() { failure } else { failure.with_hint(hint) }
    }

    /// The failure as one line of JSON.
    pub(crate) fn line(&self) -> String {
        serde_json::json!({ "error": self.value() }).to_string()
    }

    /// The failure as JSON.
    pub(crate) fn value(&self) -> serde_json::Value {
        let Self { exit, code, message, cause, hint, is_local: _ } = self;
        serde_json::json!({
            "code": code, "message": message, "cause": cause, "hint": hint, "exit": exit,
        })
    }

    /// Adjusts the exit code for a command that exits with its task's code.
    pub(crate) fn beside_a_task(mut self) -> Self {
        // These two have the same meaning in both cases.
        if ![exit::TIME_LIMIT, exit::INTERRUPTED].contains(&self.exit) {
            // A full disk of the command itself has the same code as one of the node.
            self.exit =
                if self.is_local { exit::OWN_FAILURE } else { exit::beside_task(&self.code) };
        }
        self
    }

    /// Converts any error of this crate.
    pub(crate) fn of(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let error = match error.downcast::<ClientError>() {
            Ok(error) => return Self::of_client(&error),
            Err(error) => error,
        };
        let error = match error.downcast::<TransferError>() {
            Ok(error) => return Self::of_transfer(&error),
            Err(error) => error,
        };
        let error = match error.downcast::<NetworkError>() {
            Ok(error) => return Self::of_node(&error),
            Err(error) => error,
        };
        let error = match error.downcast::<BindError>() {
            Ok(error) => return Self::new(exit::FAILED, "socket", error.to_string()),
            Err(error) => error,
        };
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        let failure = Self::new(exit::FAILED, "failed", error.to_string());
        if causes.is_empty() { failure } else { failure.because(causes.join(": ")) }
    }

    fn of_client(error: &ClientError) -> Self {
        let code = error.code();
        let failure = Self::new(exit::of_code(code), code.clone(), error.to_string());
        match error {
            ClientError::Unreachable { source, path } => {
                let failure = failure.because(no_socket(source));
                let home = path.parent().unwrap_or(path);
                failure.with_hint(if source.kind() == io::ErrorKind::PermissionDenied {
                    "run the command as the user that runs the node".to_owned()
                } else {
                    format!("meshwork up --home {}", format::shell(&home.to_string_lossy()))
                })
            }
            ClientError::Api(problem) => match &problem.hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            },
            ClientError::Broken { source, .. } => failure.because(innermost(source)),
            ClientError::Protocol { .. } | _ => failure,
        }
    }

    fn of_transfer(error: &TransferError) -> Self {
        if let TransferError::Request(error) = error {
            return Self::of_client(error);
        }
        let code = error.code();
        let mut failure = Self::new(exit::of_code(&code), code, error.to_string());
        failure.is_local = true;
        match error {
            TransferError::File { source, .. } | TransferError::Source(source) => {
                failure.because(source)
            }
            TransferError::Thread(source) => failure.because(source),
            TransferError::Plan(PlanError::NotFile { path, .. }) => {
                let path = format::shell(&path.to_string_lossy());
                failure.with_hint(format!("read it into a file: cat {path} > FILE"))
            }
            // Their texts say what to do.
            TransferError::Request(_)
            | TransferError::Plan(_)
            | TransferError::Pack(_)
            | TransferError::Unpack(_)
            | _ => failure,
        }
    }

    fn of_node(error: &NetworkError) -> Self {
        let (message, code) = (error.to_string(), ErrorCode::from(error.code()));
        if let NetworkError::TransportError(why) = error {
            if let BuildError::Config { field, why } = why {
                return Self::usage(format!("{}: {why}", flag(field)));
            }
            if let BuildError::ListenAddress { .. } = why {
                return Self::usage(format!("--listen: {message}"));
            }
        }
        if let NetworkError::TransportError(BuildError::PortTaken { .. }) = error {
            let failure = Self::new(exit::of_code(&code), code, message);
            return failure.with_hint("meshwork up --listen ADDR, with a different port");
        }
        let failure = Self::new(exit::of_code(&code), code, message);
        if let NetworkError::InternalError(InternalError::Home(error)) = error {
            return failure.with_hint_of_home(error);
        }
        if let NetworkError::InternalError(InternalError::Journal(error)) = error {
            return failure.with_hint_of_journal(error);
        }
        failure
    }

    /// Adds a hint about a home that cannot be used, if a command helps.
    pub(crate) fn with_hint_of_home(self, error: &HomeError) -> Self {
        if let HomeError::OtherUser { home, owner } = error {
            let home = format::shell(&home.to_string_lossy());
            return self.with_hint(format!(
                "sudo -u '#{owner}' meshwork --home {home} up        (or choose another home with --home)"
            ));
        }
        let HomeError::InUse { home, .. } = error else { return self };
        let home = home.display().to_string();
        self.with_hint(format!(
            "meshwork --home {home:?} down        (or choose another home with --home)"
        ))
    }

    /// Adds a hint about a journal that cannot be used, if a command helps.
    pub(crate) fn with_hint_of_journal(self, error: &JournalError) -> Self {
        match error {
            JournalError::Home(error) => self.with_hint_of_home(error),
            JournalError::Missing { .. } => self.with_hint("meshwork store restore DIR"),
            JournalError::Marker { .. } => self.with_hint("meshwork store salvage"),
            JournalError::Unreadable { .. }
            | JournalError::MissingEnded { .. }
            | JournalError::Behind { .. }
            | JournalError::Damaged { .. }
            | JournalError::Pages { .. } => {
                self.with_hint("meshwork store restore DIR, or meshwork store salvage")
            }
            JournalError::WouldReplace { .. } => {
                self.with_hint("use --yes to set it aside and replace it with the copy")
            }
            JournalError::OtherNode { owner, .. } => self.with_hint(format!("--node {owner}")),
            JournalError::None { .. }
            | JournalError::NoMarker { .. }
            | JournalError::Foreign { .. }
            | JournalError::OtherKey { .. }
            | JournalError::NoKey { .. }
            | JournalError::Older { .. }
            | JournalError::Format { .. }
            | JournalError::Occupied { .. }
            | JournalError::Copying
            | JournalError::Store { .. }
            | JournalError::Thread(_)
            | JournalError::Stopped
            | _ => self,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The flag of `up` that sets a field of the node's configuration.
fn flag(field: &str) -> &str {
    match field {
        "listen_addrs" | "listen_addresses" | "listen" => "--listen",
        "bootstrap_peers" | "bootstrap" => "--bootstrap",
        "max_peers" => "--max-peers",
        "trusted" => "--trust",
        "accept" => "--accept",
        "name" => "--name",
        "network" => "--network",
        "offered.slots" => "--slots",
        "offered" => "--label and --capability",
        "tasks.keep_results" => "--keep-results",
        "tasks.lease" | "tasks.heartbeat" => "--lease",
        other => other,
    }
}

fn no_socket(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "the socket does not exist".to_owned()
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        "no process listens on the socket".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "the socket belongs to another user".to_owned()
    } else {
        error.to_string()
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
