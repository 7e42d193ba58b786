//! Signals that stop a process as futures: Ctrl-C, SIGTERM, and the hangup of a terminal.

use std::{fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a process. From construction on they have no other effect.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if the process should outlive its terminal.
    hangup: Option<Signal>,
}

impl Signals {
    /// Starts to handle the signals.
    pub(crate) fn take() -> io::Result<Self> {
        let hangup = if outlives_terminal() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// Waits for the next of these signals.
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

/// Whether the process was started to ignore the hangup of its terminal, as by nohup. If that is
/// not known, the signal is left as it is.
fn outlives_terminal() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit stands for signal 1, SIGHUP.
    ignored.is_none_or(|mask| mask & 1 != 0)
}
