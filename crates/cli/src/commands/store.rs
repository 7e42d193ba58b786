//! `store`: the journal of a node. Only a copy can be made while the node runs, and then by the node.

use std::path::Path;

use meshwork_api::{Client, ClientError, ErrorCode};
use meshwork_core::PeerId;
use meshwork_node::{
    JournalError, identity,
    repair::{self, JournalReport, Salvaged},
};
use serde::Serialize;

use crate::{args::StoreVerb, exit, failure::Failure, home::Home, output::Output};

/// A report, and where what was taken out is.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    report: JournalReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taken_out: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salvaged: Option<Losses>,
}

/// What a salvage could not keep.
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
            let Salvaged { report, kept, lost, may_hold_forgotten } =
                repair::salvage(dir).map_err(failure)?;
            salvaged = Some(Losses { lost, may_hold_forgotten });
            (report, kept)
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
    let told = Told { report, taken_out, salvaged };
    if out.json {
        out.value(&told)?;
    } else {
        out.line(text(&told))?;
    }
    if matches!(verb, StoreVerb::Verify | StoreVerb::Backup { .. }) && told.report.damaged > 0 {
        let damaged = format!("{} of {} records", told.report.damaged, told.report.records);
        let failure = Failure::new(exit::FAILED, "damaged", format!("{damaged} cannot be read"));
        return Err(failure.with_hint("go on without them: meshwork store salvage").into());
    }
    Ok(exit::DONE)
}

/// By the node if one runs there, for it alone may read its journal.
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

/// The node whose key is in the home.
fn owner(home: &Home) -> anyhow::Result<Option<PeerId>> {
    let path = home.identity();
    if !path.exists() {
        return Ok(None);
    }
    let key = identity::load_or_create(&path)
        .map_err(|error| Failure::new(exit::FAILED, "identity", error.to_string()))?;
    Ok(Some(key.public().to_peer_id()))
}

fn text(told: &Told) -> String {
    let JournalReport {
        open,
        ended,
        results,
        records,
        damaged,
        segments,
        file_bytes,
        archive_bytes,
    } = told.report;
    let mut text = format!(
        "tasks    {open} open, {ended} ended\n\
         results  {results} for other owners\n\
         records  {records} in {segments} commits, {damaged} damaged\n\
         file     {} KiB, and {} KiB of ended tasks beside it",
        file_bytes.div_ceil(1024),
        archive_bytes.div_ceil(1024)
    );
    if let Some(Losses { lost, may_hold_forgotten }) = told.salvaged {
        text.push_str(&format!("\nlost     {lost} records"));
        if may_hold_forgotten {
            text.push_str(
                "\nthe file did not say which tasks were forgotten last: some of them may be listed, \
                 and run, again",
            );
        }
    }
    for path in &told.taken_out {
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
