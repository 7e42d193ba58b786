//! Owner and worker are killed while files and folders are added, fetched and collected.

use rustix::process::Signal;

use crate::{
    blob_trial::{Side, Trial},
    support::{Node, note, number, signal},
};

/// Default number of kills; `MESHWORK_KILLS` overrides it.
const KILLS: usize = 4;

/// Kills all of them before the first one is waited for.
fn kill(victims: Vec<(Side, Node)>) -> Vec<(Side, tempfile::TempDir)> {
    victims.iter().for_each(|(_, node)| signal(&node.process, Signal::KILL));
    victims.into_iter().map(|(side, node)| (side, node.end(Signal::KILL).1)).collect()
}

#[test]
fn acknowledged_files_survive_kills() {
    let kills = number("MESHWORK_KILLS").unwrap_or(KILLS);
    let seed = number("MESHWORK_SEED").unwrap_or(1) as u64;
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let seen = Trial::new(seed, "true", homes).end_at(kills, kill);
    note(&format!("{seen:?}"));
}
