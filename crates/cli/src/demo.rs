//! `meshwork demo`: the main job in one command, with nothing to set up.
//!
//! ```text
//!  this process: owner ──────── loopback, TCP + Noise ───────► 3 × meshwork demo-worker ADDRESS
//!    corpus → slices → tasks (at most 256 under way) → tally        text/top-words
//!    the same corpus counted in one go, in one thread ──► the totals must be equal
//! ```
//!
//! The workers are told the owner's address and nothing else. A worker runs the work of the peer
//! named in that address only; the owner sends work to the three processes that it started only,
//! whose peer ids it reads from their standard outputs. No key, socket or file is written, and a
//! worker ends when its standard input does, which is when the owner is gone, however it went.
//!
//! Absent on purpose: the owner runs no task itself, and no other node is looked for.

use std::path::PathBuf;

use clap::Args;

use crate::{exit, failure::Failure, output::Output, signals::Signals};

mod corpus;
mod owner;
mod report;
mod slices;
mod tally;
mod worker;
mod workers;

pub(crate) use self::worker::worker;
use self::{corpus::Corpus, report::Report, workers::Workers};

/// Count words with one owner and three workers, on this machine alone.
///
/// Counts the words of every text file under PATH, one task per 16 KiB, and compares the total with
/// a count in one thread. Ends with 0 if they are equal.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// A file or folder [default: this repository's documents]
    pub(crate) path: Option<PathBuf>,
}

/// Runs the demo; whatever happens, no process is left behind.
pub(crate) async fn demo(args: DemoArgs, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let mut workers = Workers::none();
    let counted = tokio::select! {
        counted = count(args, &mut workers, out) => Some(counted),
        () = signals.next() => None,
    };
    workers.stop().await;
    let Some(report) = counted.transpose()? else {
        out.say("\ninterrupted; nothing is left behind");
        return Ok(exit::INTERRUPTED);
    };
    if out.json {
        out.value(&report)?;
    } else {
        out.data(report.text().as_bytes())?;
    }
    if report.ok {
        return Ok(exit::DONE);
    }
    let message = format!(
        "the workers counted {} words, one thread {}, and {} tasks failed",
        report.words, report.expected_words, report.failed
    );
    Err(Failure::new(exit::FAILED, "wrong_result", message).into())
}

async fn count(args: DemoArgs, workers: &mut Workers, out: &Output) -> anyhow::Result<Report> {
    // Reading and counting take a while, during which Ctrl-C must be heard.
    let read = tokio::task::spawn_blocking(move || Corpus::read(args.path));
    let corpus = read.await??;
    out.say(format!("{corpus}"));
    let owner = owner::start().await?;
    let ran = owner::run(&owner, &corpus, workers, out).await;
    // It has no home and no work that anybody still waits for.
    if tokio::time::timeout(crate::limits::DEMO_STOP, owner.shutdown()).await.is_err() {
        tracing::warn!("the owner did not stop in time");
    }
    let (ran, named) = (ran?, workers.named());
    Ok(tokio::task::spawn_blocking(move || Report::of(ran, &corpus, &named)).await?)
}
