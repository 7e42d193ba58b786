use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt};

use meshwork_core::PeerId;

use super::*;

#[test]
fn one_node_at_a_time_and_the_other_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&dir.path().join("home")).unwrap();
    let error = Home::open(&dir.path().join("home")).unwrap_err();
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert!(error.to_string().contains("--home"), "names the remedy: {error}");
    drop(home);
    Home::open(&dir.path().join("home")).unwrap();
}

#[test]
fn a_home_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    Home::open(&home).unwrap();
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(Home::open(&home), Err(HomeError::TooOpen { .. })));
}

#[test]
fn every_start_has_a_higher_count_also_when_the_file_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let first = home.next_boot().unwrap();
    let second = home.next_boot().unwrap();
    assert!(second > first);
    fs::write(dir.path().join("boot"), "4000000000\n").unwrap();
    assert_eq!(home.next_boot().unwrap(), 4_000_000_001, "whatever the clock says");
    fs::remove_file(dir.path().join("boot")).unwrap();
    assert!(home.next_boot().unwrap() >= first);
    fs::write(dir.path().join("boot"), "many\n").unwrap();
    assert!(matches!(home.next_boot(), Err(HomeError::Damaged { .. })), "never starts anew");
}

#[test]
fn trusted_peers_are_kept_and_a_damaged_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    assert!(home.trusted().unwrap().is_empty());
    let peers: HashSet<PeerId> = (0..3).map(|_| PeerId::random()).collect();
    home.save_trusted(peers.iter()).unwrap();
    assert_eq!(home.trusted().unwrap(), peers);
    fs::write(dir.path().join("trusted"), "not a peer\n").unwrap();
    let error = home.trusted().unwrap_err();
    assert!(error.to_string().contains("not a peer"), "{error}");
}

#[test]
fn a_file_in_place_of_the_directory_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    fs::write(&path, "").unwrap();
    assert!(matches!(Home::open(&path), Err(HomeError::Io { .. })));
}
