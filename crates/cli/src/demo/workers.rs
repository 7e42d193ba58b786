//! Starts and stops the worker processes.

use std::{future, process::Stdio, task::Poll};

use anyhow::Context;
use meshwork_core::{Multiaddr, PeerId};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::worker::Hello;
use crate::{exit, failure::Failure, limits};

/// The names of the workers in the report.
const NAMES: [&str; 3] = ["ant", "bee", "cat"];

/// The started workers. Dropping this kills them.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    name: &'static str,
    process: Child,
    /// Closing it makes the worker end.
    stdin: Option<ChildStdin>,
    /// Kept open, so that the worker never writes into a closed pipe.
    stdout: Option<BufReader<ChildStdout>>,
    peer: Option<PeerId>,
}

impl Workers {
    /// No workers yet.
    pub(super) fn none() -> Self {
        Self { workers: Vec::new() }
    }

    /// Starts all workers and reads their peer ids.
    pub(super) async fn start(&mut self, owner: &Multiaddr) -> anyhow::Result<()> {
        for name in NAMES {
            self.workers.push(Worker::spawn(name, owner)?);
        }
        for worker in &mut self.workers {
            worker.read_hello().await?;
        }
        Ok(())
    }

    /// The peer ids of the workers.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        self.workers.iter().filter_map(|worker| worker.peer).collect()
    }

    /// The names and peer ids of the workers.
    pub(super) fn named(&self) -> Vec<(String, PeerId)> {
        self.workers
            .iter()
            .filter_map(|worker| Some((worker.name.to_owned(), worker.peer?)))
            .collect()
    }

    /// Resolves when a worker process ends unexpectedly.
    pub(super) async fn died(&mut self) -> Failure {
        let mut waits: Vec<_> = self
            .workers
            .iter_mut()
            .map(|worker| (worker.name, Box::pin(worker.process.wait())))
            .collect();
        future::poll_fn(|cx| {
            for (name, wait) in &mut waits {
                if let Poll::Ready(status) = wait.as_mut().poll(cx) {
                    let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                    return Poll::Ready(ended(name, &status));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Closes the standard inputs of the workers, kills those that do not end, and waits until all
    /// processes have ended.
    pub(super) async fn stop(&mut self) {
        let mut workers = std::mem::take(&mut self.workers);
        for worker in &mut workers {
            worker.stdin = None;
        }
        for mut worker in workers {
            let ended = tokio::time::timeout(limits::DEMO_STOP, worker.process.wait()).await;
            if !matches!(ended, Ok(Ok(_)))
                && let Err(error) = worker.process.kill().await
            {
                tracing::warn!(worker = worker.name, %error, "cannot end a worker");
            }
        }
    }
}

impl Worker {
    fn spawn(name: &'static str, owner: &Multiaddr) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = Command::new(program)
            .arg("demo-worker")
            .arg(owner.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C reaches a whole process group; only the owner should react to it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a worker")?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().map(BufReader::new);
        Ok(Self { name, process, stdin, stdout, peer: None })
    }

    /// Reads the line with the worker's peer id.
    async fn read_hello(&mut self) -> anyhow::Result<()> {
        let mut line = Vec::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.take(limits::DEMO_HELLO).read_until(b'\n', &mut line).await?;
        }
        if line.is_empty() {
            let status = self.process.wait().await?;
            return Err(ended(self.name, &status.to_string()).into());
        }
        let hello: Hello =
            serde_json::from_slice(&line).context("a worker's first line is not valid")?;
        self.peer = Some(hello.peer_id.parse().context("a worker's peer id is not valid")?);
        Ok(())
    }
}

fn ended(name: &str, status: &str) -> Failure {
    Failure::new(exit::FAILED, "worker_ended", format!("worker {name} has ended early: {status}"))
}
