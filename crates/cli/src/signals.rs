//! Ctrl-C, SIGTERM, and a terminal that goes away, as futures.

use std::{fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a process to end. From its making on they do nothing by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where the process is to outlive its terminal.
    hangup: Option<Signal>,
}

impl Signals {
    /// Takes the signals over.
    pub(crate) fn take() -> io::Result<Self> {
        let hangup = if outlives_terminal() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// Waits for the next one of them.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether whoever started the process has it ignore that its terminal goes away, as nohup does. Where
/// that cannot be read the signal is left as it is.
fn outlives_terminal() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit is that of the first signal, which is this one.
    ignored.is_none_or(|mask| mask & 1 != 0)
}
