//! Commands from the handles.

use tokio::sync::mpsc;

use crate::{handle::Command, limits};

/// The queue of commands, and the commands taken from it in this turn.
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

    /// Waits for commands. Returns the number taken; 0 if all handles were dropped.
    pub(super) async fn next(&mut self) -> usize {
        self.commands.recv_many(&mut self.taken, limits::COMMANDS_PER_TURN).await
    }

    /// Returns the commands that were taken. Return the vector with [`Self::give_back`].
    pub(super) fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.taken)
    }

    /// Takes the vector of commands back, to reuse its memory.
    pub(super) fn give_back(&mut self, mut taken: Vec<Command>) {
        taken.clear();
        self.taken = taken;
    }
}
