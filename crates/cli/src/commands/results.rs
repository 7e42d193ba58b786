//! Prints results: the bytes of one task's result, or one line for each of several tasks, so that
//! line N belongs to input N.
//!
//! A task without a result, or whose result contains a line feed or is not UTF-8, gives an empty
//! line and a reason on standard error. JSON can hold every result.

use std::fmt;

use bytes::Bytes;
use indicatif::ProgressBar;
use meshwork_api::{Client, ClientError, ErrorView, MemberResult, MemberState, Payload, TaskView};
use meshwork_core::{BlobForm, BlobRef};
use serde::Serialize;

use super::{away::Away, files, several::Failed, story};
use crate::{
    failure::Failure,
    output::{Output as Printer, format},
};

#[cfg(test)]
mod tests;

/// A task with its result, as JSON.
#[derive(Debug, Serialize)]
struct TaskResult {
    #[serde(flatten)]
    task: TaskView,
    /// `None` if the task did not succeed.
    output: Option<Payload>,
}

/// The result of a task that succeeded.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Its bytes.
    Bytes(Bytes),
    /// A file or folder in the node's store.
    Blob(BlobRef),
}

impl Output {
    /// Reads the result of a task that succeeded; a file or folder stays where it is.
    ///
    /// # Errors
    ///
    /// The request fails.
    pub(super) async fn of(task: &TaskView, client: &Client) -> Result<Self, ClientError> {
        match task.output_blob {
            Some(blob) => Ok(Self::Blob(blob)),
            None => Ok(Self::Bytes(client.result(&task.id).await?)),
        }
    }

    /// The result as JSON has it.
    pub(super) fn into_payload(self) -> Payload {
        match self {
            Self::Bytes(bytes) => Payload::of(bytes),
            Self::Blob(blob) => Payload::Blob(blob),
        }
    }
}

/// Prints the bytes of one task's result, or why it has none. On a terminal, adds a missing line
/// feed at the end.
pub(super) async fn print(
    task: TaskView,
    output: Option<Output>,
    client: &Client,
    out: &Printer,
) -> anyhow::Result<()> {
    if out.json {
        return out.value(&TaskResult { task, output: output.map(Output::into_payload) });
    }
    match output {
        None => out.failure(&story::failure(&task)),
        Some(Output::Bytes(bytes)) => {
            out.data(&bytes)?;
            if out.stdout_tty && !bytes.is_empty() && !bytes.ends_with(b"\n") {
                out.data(b"\n")?;
            }
        }
        Some(Output::Blob(blob)) if blob.form == BlobForm::Folder => {
            let short = &task.short;
            let failure = Failure::usage(format!("the result of task {short} is a folder"));
            return Err(failure
                .with_hint(format!("meshwork task result {short} --out DIR"))
                .into());
        }
        Some(Output::Blob(blob)) => files::print(&blob, client, out).await?,
    }
    Ok(())
}

/// Prints one line for each task.
pub(super) struct Lines<'a> {
    client: &'a Client,
    out: &'a Printer,
    /// Lines printed so far.
    printed: u64,
    /// Results that could not be printed, of tasks that are not known to have failed.
    lost: u64,
    /// Lines that are not printed yet.
    page: Page,
}

/// Lines that are printed together.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<u8>,
    reasons: Vec<String>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(client: &'a Client, out: &'a Printer) -> Self {
        Self { client, out, printed: 0, lost: 0, page: Page::default() }
    }

    /// Results that could not be printed, of tasks that are not known to have failed.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Prints the members of a group from the index `next` to the first that has not ended, and
    /// returns the index of that one.
    pub(super) async fn group(
        &mut self,
        group: &str,
        mut next: u32,
        bar: &ProgressBar,
        away: &mut Away<'_>,
    ) -> anyhow::Result<u32> {
        loop {
            let from = next;
            let page = away.ask(async || self.client.group_results(group, from).await).await?;
            let mut open = false;
            for member in page.items {
                open = member.is_open();
                if open {
                    break;
                }
                next = next.saturating_add(1);
                let line = line(&member.id, &member.state, &member.output, &member.error);
                self.add(line, &member, is_lost(&member))?;
            }
            bar.suspend(|| self.flush())?;
            if open || page.next_cursor.is_none() || next == from {
                return Ok(next);
            }
        }
    }

    /// Prints the line of a task that has ended.
    pub(super) fn task(&mut self, task: TaskView, output: Option<Output>) -> anyhow::Result<()> {
        let output = output.map(Output::into_payload);
        let line = line(&task.id, &task.state, &output, &task.error);
        self.add(line, &TaskResult { task, output }, false)?;
        self.flush()
    }

    /// Prints the line of an id whose request failed. The failure itself is printed already.
    pub(super) fn failed(&mut self, id: &str, failure: &Failure) -> anyhow::Result<()> {
        let why = format!("{id}: {}", failure.code);
        self.add(Err(NoLine { why, has_result: false }), &Failed::new(id, failure), false)?;
        self.flush()
    }

    fn add(
        &mut self,
        line: Result<String, NoLine>,
        value: &impl Serialize,
        lost: bool,
    ) -> anyhow::Result<()> {
        self.printed += 1;
        self.lost += u64::from(lost);
        let Page { lines, reasons } = &mut self.page;
        if self.out.json {
            serde_json::to_writer(&mut *lines, value)?;
        } else {
            match line {
                Ok(line) => lines.extend_from_slice(line.as_bytes()),
                Err(NoLine { why, has_result }) => {
                    self.lost += u64::from(has_result);
                    reasons.push(format!("line {} is empty: {why}", self.printed));
                }
            }
        }
        lines.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let Page { lines, reasons } = std::mem::take(&mut self.page);
        for reason in reasons {
            self.out.say(reason);
        }
        Ok(self.out.data(&lines)?)
    }
}

/// Whether the node no longer has the member's result or cannot read it. The group counts such a
/// member as succeeded, or not at all.
fn is_lost(member: &MemberResult) -> bool {
    let is_known_to_fail =
        matches!(member.state, MemberState::Failed | MemberState::Cancelled | MemberState::Expired);
    member.output.is_none() && !is_known_to_fail
}

/// Why the line of a task is empty.
#[derive(Debug, PartialEq, Eq)]
struct NoLine {
    why: String,
    /// Whether the task has a result, which does not fit on a line.
    has_result: bool,
}

/// The line of a task without its line feed.
fn line(
    id: &str,
    state: &(impl fmt::Display + ?Sized),
    output: &Option<Payload>,
    error: &Option<ErrorView>,
) -> Result<String, NoLine> {
    let short = id.get(id.len().saturating_sub(6)..).unwrap_or(id);
    let text = match (output, error) {
        (Some(Payload::Text(text)), _) => Ok(text.as_str()),
        (Some(Payload::Base64(bytes)), _) => std::str::from_utf8(bytes).map_err(|_| "is not UTF-8"),
        (Some(Payload::Blob(blob)), _) => {
            let (size, form) = (format::size(blob.size), blob.form.as_str());
            let way = format!("meshwork task result {short} --out DIR");
            let why = format!("the result of task {short} is a {form} of {size}: {way}");
            return Err(NoLine { why, has_result: true });
        }
        (None, Some(error)) => {
            let why = format!("task {short} {state}: {}", format::printable(&error.message));
            return Err(NoLine { why, has_result: false });
        }
        (None, None) => {
            let why = format!("the result of task {short} is no longer kept");
            return Err(NoLine { why, has_result: false });
        }
    };
    // Most programs end their output with a line feed; here it is the end of the line.
    let text = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
    match text {
        Ok(text) if !text.contains('\n') => Ok(text.to_owned()),
        Ok(_) => Err("contains a line feed"),
        Err(why) => Err(why),
    }
    .map_err(|why| NoLine {
        why: format!("the result of task {short} {why}; print it: meshwork task result {short}"),
        has_result: true,
    })
}
