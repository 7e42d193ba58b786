use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt};

use meshwork_core::PeerId;

use super::*;

#[test]
fn second_node_is_refused_and_the_first_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&dir.path().join("home")).unwrap();
    let error = Home::open(&dir.path().join("home")).unwrap_err();
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert!(error.to_string().contains("another directory"), "names the remedy: {error}");
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
fn boot_count_rises_even_if_its_file_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let first = home.next_boot().unwrap();
    let second = home.next_boot().unwrap();
    assert!(second > first);
    fs::write(dir.path().join("boot"), "4000000000\n").unwrap();
    assert_eq!(home.next_boot().unwrap(), 4_000_000_001, "the clock does not lower it");
    fs::remove_file(dir.path().join("boot")).unwrap();
    assert!(home.next_boot().unwrap() >= first);
    fs::write(dir.path().join("boot"), "many\n").unwrap();
    assert!(
        matches!(home.next_boot(), Err(HomeError::Damaged { .. })),
        "a damaged file is not replaced"
    );
}

#[test]
fn trusted_peers_are_saved_and_a_damaged_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    assert!(home.peers(PeerList::Trusted).unwrap().is_empty());
    let peers: HashSet<PeerId> = (0..3).map(|_| PeerId::random()).collect();
    home.save_peers(PeerList::Trusted, peers.iter()).unwrap();
    assert_eq!(home.peers(PeerList::Trusted).unwrap(), peers);
    fs::write(dir.path().join("trusted"), "not a peer\n").unwrap();
    let error = home.peers(PeerList::Trusted).unwrap_err();
    assert!(error.to_string().contains("not a peer"), "{error}");
}

#[test]
fn file_in_place_of_the_home_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    fs::write(&path, "").unwrap();
    assert!(matches!(Home::open(&path), Err(HomeError::Io { .. })));
}

#[test]
fn blocked_peers_and_names_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&dir.path().join("home")).unwrap();
    assert!(home.names().unwrap().is_empty() && home.peers(PeerList::Blocked).unwrap().is_empty());
    let (bee, cat) = (PeerId::random(), PeerId::random());
    let names = [(bee, "the bee".to_owned()), (cat, "cat".to_owned())].into();
    home.save_names(&names).unwrap();
    home.save_peers(PeerList::Blocked, [cat].iter()).unwrap();
    assert_eq!(home.names().unwrap(), names);
    assert_eq!(home.peers(PeerList::Blocked).unwrap(), HashSet::from([cat]));
    assert!(home.peers(PeerList::Trusted).unwrap().is_empty(), "each list has its own file");
    fs::write(dir.path().join("home/names"), "bee\n").unwrap();
    assert!(matches!(home.names(), Err(HomeError::Damaged { .. })));
}

#[test]
fn clock_far_ahead_leaves_boot_counts_for_later_starts() {
    let now = 1_800_000_000;
    assert_eq!(boot_after(0, u64::from(now)), now);
    assert_eq!(boot_after(now, u64::from(now)), now + 1);
    assert_eq!(boot_after(now, 0), now + 1);
    for wrong in [u64::from(u32::MAX) - 1, u64::from(u32::MAX) + 1, u64::MAX] {
        let ahead = boot_after(now, wrong);
        let next = boot_after(ahead, u64::from(now));
        assert!(ahead > now && next > ahead && boot_after(next, wrong) > next, "{wrong}");
    }
}

/// Puts invalid things in place of a file, one after the other: invalid UTF-8, too many bytes, a
/// folder, a pipe.
pub(crate) fn put_invalid_files(at: &Path) -> impl Iterator<Item = &'static str> {
    ["no text", "too long", "folder", "pipe"].into_iter().inspect(move |kind| {
        fs::remove_file(at).or_else(|_| fs::remove_dir(at)).ok();
        match *kind {
            "no text" => fs::write(at, b"\xff\xfe\x80").unwrap(),
            "too long" => fs::write(at, vec![b'7'; 1 << 20]).unwrap(),
            "folder" => fs::create_dir(at).unwrap(),
            _ => {
                let made = std::process::Command::new("mkfifo").arg(at).status().unwrap();
                assert!(made.success());
            }
        }
    })
}

#[test]
fn error_names_the_invalid_file_of_a_home() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    type Read = fn(&Home) -> Result<(), HomeError>;
    let reads: [(&str, Read); 6] = [
        ("boot", |home| home.next_boot().map(drop)),
        ("trusted", |home| home.peers(PeerList::Trusted).map(drop)),
        ("blocked", |home| home.peers(PeerList::Blocked).map(drop)),
        ("names", |home| home.names().map(drop)),
        ("peers", |home| home.book().map(drop)),
        ("config.toml", |home| home.config(&[]).map(drop)),
    ];
    for (name, read) in reads {
        let path = dir.path().join(name);
        for kind in put_invalid_files(&path) {
            let error = read(&home).unwrap_err();
            assert!(matches!(error, HomeError::Damaged { .. }), "{name}, {kind}: {error}");
            assert!(error.to_string().contains(name), "{kind}: {error}");
        }
    }
}

#[test]
fn file_is_private_despite_a_leftover_with_wider_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("boot");
    fs::write(path.with_extension("new"), "left by an earlier version").unwrap();
    fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o666)).unwrap();
    write(&path, "1\n").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
