//! `meshwork demo`: counts words with an owner and three workers, without any setup.
//!
//! ```text
//!  this process: owner ──────── loopback, TCP + Noise ───────► 3 × meshwork demo-worker ADDRESS
//!    corpus → slices → tasks (at most 256 under way) → tally        text/top-words
//!    the same corpus counted in one go, in one thread ──► the totals must be equal
//! ```
//!
//! A worker gets the owner's address as its only argument and runs tasks of the peer in that
//! address only. The owner sends tasks only to its three worker processes, whose peer ids it reads
//! from their standard outputs. The demo writes no key, socket or file. A worker ends when its
//! standard input ends, so it never outlives the owner.
//!
//! Absent on purpose: tasks on the owner, and discovery of other nodes.

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

/// Runs the demo. No worker process outlives it.
pub(crate) async fn demo(args: DemoArgs, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let mut workers = Workers::none();
    let counted = tokio::select! {
        counted = count(args, &mut workers, out) => Some(counted),
        () = signals.next() => None,
    };
    workers.stop().await;
    let Some(report) = counted.transpose()? else {
        out.say("\ninterrupted; all workers have stopped");
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
    // Blocking work would delay the reaction to Ctrl-C.
    let read = tokio::task::spawn_blocking(move || Corpus::read(args.path));
    let corpus = read.await??;
    out.say(format!("{corpus}"));
    let owner = owner::start().await?;
    let ran = owner::run(&owner, &corpus, workers, out).await;
    // The owner has no home and no unfinished work, so it may be abandoned.
    if tokio::time::timeout(crate::limits::DEMO_STOP, owner.shutdown()).await.is_err() {
        tracing::warn!("the owner did not stop in time");
    }
    let (ran, named) = (ran?, workers.named());
    Ok(tokio::task::spawn_blocking(move || Report::of(ran, &corpus, &named)).await?)
}
