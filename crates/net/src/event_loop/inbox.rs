//! Commands of the handles.

use tokio::sync::mpsc;

use crate::{handle::Command, limits};

/// The queue of commands, and those that were taken from it in this turn.
pub(super) struct Inbox {
    /// At most [`limits::COMMANDS`].
    commands: mpsc::Receiver<Command>,
    /// At most [`limits::COMMANDS_PER_TURN`]; kept to reuse its memory.
    taken: Vec<Command>,
}

impl Inbox {
    pub(super) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { commands, taken: Vec::with_capacity(limits::COMMANDS_PER_TURN) }
    }

    /// Waits for commands. Returns how many were taken; none if all handles are gone.
    pub(super) async fn next(&mut self) -> usize {
        self.commands.recv_many(&mut self.taken, limits::COMMANDS_PER_TURN).await
    }

    /// The commands that were taken. Give them back, empty.
    pub(super) fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.taken)
    }

    /// Takes the memory of carried out commands back.
    pub(super) fn give_back(&mut self, mut taken: Vec<Command>) {
        taken.clear();
        self.taken = taken;
    }
}
