//! Power cuts while files and folders are added, fetched and collected: owner and worker have their
//! homes on separate file systems, which the test shuts down as if the machines had lost their power.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    blob_trial::{Side, Trial},
    power::Disk,
    support::{Node, into_mount_namespace, is_inside, note, number, signal},
};

/// Default number of power cuts; `MESHWORK_POWER_CUTS` overrides it.
const CUTS: usize = 3;
/// Size of each disk. Only written blocks take space.
const DISK_BYTES: u64 = 3 << 30;
/// By turns: the usual options, and those with which the most is lost.
const OPTIONS: [&str; 2] = ["loop", "loop,data=writeback,noauto_da_alloc,commit=300"];

/// The disks of owner and worker.
struct Disks {
    disks: [Disk; 2],
    homes: [PathBuf; 2],
    cuts: usize,
}

impl Disks {
    fn new() -> Option<(Self, [TempDir; 2])> {
        let disks = [Disk::new(DISK_BYTES)?, Disk::new(DISK_BYTES)?];
        let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let paths = [&homes[0], &homes[1]].map(|home| home.path().to_owned());
        let disks = Self { disks, homes: paths, cuts: 0 };
        for (disk, home) in disks.disks.iter().zip(&disks.homes) {
            disks.mount(disk, home);
        }
        Some((disks, homes))
    }

    fn mount(&self, disk: &Disk, at: &Path) {
        assert!(disk.mount(at, OPTIONS[self.cuts % OPTIONS.len()]));
    }

    /// Cuts the power of these nodes, and gives back their homes as they are afterwards.
    fn cut(&mut self, victims: Vec<(Side, Node)>) -> Vec<(Side, TempDir)> {
        // The nodes are suspended first, so that they do not answer after the cut.
        victims.iter().for_each(|(_, node)| signal(&node.process, Signal::STOP));
        for (side, node) in &victims {
            self.disks[*side as usize].cut(node.home.path());
        }
        self.cuts += 1;
        let ended = victims.into_iter().map(|(side, node)| {
            let home = node.end(Signal::KILL).1;
            let disk = &self.disks[side as usize];
            disk.unmount(home.path());
            self.mount(disk, home.path());
            (side, home)
        });
        ended.collect()
    }
}

impl Drop for Disks {
    /// A home could not be removed while it was mounted. The nodes have ended.
    fn drop(&mut self) {
        for home in &self.homes {
            Command::new("umount").arg(home).output().ok();
            std::fs::remove_dir(home).ok();
        }
    }
}

/// Cuts the power at this many points. `None` if that is impossible here.
fn cut_at(cuts: usize, shell: &str) -> Option<()> {
    let (mut disks, homes) = Disks::new()?;
    let seed = number("MESHWORK_SEED").unwrap_or(1) as u64;
    let seen = Trial::new(seed, shell, homes).end_at(cuts, |victims| disks.cut(victims));
    note(&format!("{seen:?}"));
    Some(())
}

#[test]
fn acknowledged_files_survive_power_cuts() {
    if !is_inside(into_mount_namespace(), "blob_power::acknowledged_files_survive_power_cuts") {
        return;
    }
    cut_at(number("MESHWORK_POWER_CUTS").unwrap_or(CUTS), "true");
}

/// Checks that the test detects a loss, with a store that does not sync its files.
#[test]
fn store_without_sync_loses_acknowledged_files() {
    let name = "blob_power::store_without_sync_loses_acknowledged_files";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let trial = || cut_at(2 * CUTS, "export MESHWORK_TEST_SKIP_BLOB_FSYNC=1");
    let panic = match std::panic::catch_unwind(trial) {
        Ok(Some(())) => panic!("nothing is lost"),
        // It was skipped.
        Ok(None) => return,
        Err(panic) => panic,
    };
    let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(why.contains("blob_missing") || why.contains("input_lost"), "{why}");
}
