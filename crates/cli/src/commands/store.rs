//! `store`: checks, copies and repairs a node's journal. While the node runs, only `backup` works,
//! and the node makes the copy.

use std::path::Path;

use meshwork_api::{Client, ClientError, ErrorCode};
use meshwork_core::PeerId;
use meshwork_node::{
    JournalError, identity,
    repair::{self, JournalReport, Salvaged},
};
use serde::Serialize;

use crate::{args::StoreVerb, exit, failure::Failure, home::Home, output::Output};

/// The output of `store`: a report, and the paths of files that were moved out of the home.
#[derive(Serialize)]
struct StoreOutput {
    #[serde(flatten)]
    report: JournalReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taken_out: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salvaged: Option<Losses>,
}

/// The losses of a salvage.
#[derive(Clone, Copy, Serialize)]
struct Losses {
    lost: u64,
    may_hold_forgotten: bool,
}

pub(super) async fn store(
    verb: StoreVerb,
    home: &Home,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let dir = home.dir();
    let mut salvaged = None;
    let (report, taken_out) = match &verb {
        StoreVerb::Verify => (repair::verify(dir).map_err(failure)?, Vec::new()),
        StoreVerb::Stats => (repair::stats(dir).map_err(failure)?, Vec::new()),
        StoreVerb::Compact => (repair::compact(dir).map_err(failure)?, Vec::new()),
        StoreVerb::Salvage => {
            let Salvaged { report, copies, lost, may_hold_forgotten } =
                repair::salvage(dir).map_err(failure)?;
            salvaged = Some(Losses { lost, may_hold_forgotten });
            (report, copies)
        }
        StoreVerb::Backup { dir: to } => (backup(home, to, client).await?, Vec::new()),
        StoreVerb::Restore { dir: from, yes, node } => {
            let node = match node {
                Some(node) => Some(*node),
                None => owner(home)?,
            };
            repair::restore(dir, from, *yes, node).map_err(failure)?
        }
    };
    let taken_out = taken_out.iter().map(|path| path.display().to_string()).collect();
    let output = StoreOutput { report, taken_out, salvaged };
    if out.json {
        out.value(&output)?;
    } else {
        out.line(text(&output))?;
    }
    if matches!(verb, StoreVerb::Verify | StoreVerb::Backup { .. }) && output.report.damaged > 0 {
        let damaged = format!("{} of {} records", output.report.damaged, output.report.records);
        let failure = Failure::new(exit::FAILED, "damaged", format!("{damaged} cannot be read"));
        return Err(failure.with_hint("remove them: meshwork store salvage").into());
    }
    Ok(exit::DONE)
}

/// Copies the journal. If the node runs, it makes the copy: only it may read its journal then.
async fn backup(home: &Home, to: &Path, client: &Client) -> anyhow::Result<JournalReport> {
    let to = std::path::absolute(to)?;
    let text = to.to_str().ok_or_else(|| {
        let message = format!("{} is not UTF-8, which a node's API cannot carry", to.display());
        Failure::usage(message).with_hint("choose another name for the folder")
    })?;
    match client.backup(text).await {
        Err(ClientError::Unreachable { .. }) => {
            Ok(repair::backup(home.dir(), &to).map_err(failure)?)
        }
        answer => Ok(answer?),
    }
}

/// The peer id of the key in the home, if there is one.
fn owner(home: &Home) -> anyhow::Result<Option<PeerId>> {
    let path = home.identity();
    if !path.exists() {
        return Ok(None);
    }
    let key = identity::load_or_create(&path)
        .map_err(|error| Failure::new(exit::FAILED, "identity", error.to_string()))?;
    Ok(Some(key.public().to_peer_id()))
}

fn text(output: &StoreOutput) -> String {
    let JournalReport {
        open,
        ended,
        results,
        records,
        damaged,
        segments,
        file_bytes,
        archive_bytes,
    } = output.report;
    let mut text = format!(
        "tasks    {open} open, {ended} ended\n\
         results  {results} for other owners\n\
         records  {records} in {segments} commits, {damaged} damaged\n\
         file     {} KiB, and {} KiB of ended tasks beside it",
        file_bytes.div_ceil(1024),
        archive_bytes.div_ceil(1024)
    );
    if let Some(Losses { lost, may_hold_forgotten }) = output.salvaged {
        text.push_str(&format!("\nlost     {lost} records"));
        if may_hold_forgotten {
            text.push_str(
                "\nthe record of forgotten tasks is lost: some of them may be listed, and run, again",
            );
        }
    }
    for path in &output.taken_out {
        text.push_str("\ntaken out, and kept in ");
        text.push_str(path);
    }
    text
}

fn failure(error: JournalError) -> Failure {
    let code = ErrorCode::from(error.code());
    let code = if code == ErrorCode::Internal { "journal".into() } else { code };
    Failure::new(exit::FAILED, code, error.to_string()).with_hint_of_journal(&error)
}
