use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn second_start_loads_the_same_key() {
    let home = home();
    let path = home.path().join("identity.key");
    let made = load_or_create(&path).unwrap();
    let found = load_or_create(&path).unwrap();
    assert_eq!(made.public(), found.public());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // No other file is left.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn two_ephemeral_keys_differ() {
    assert_ne!(ephemeral().public(), ephemeral().public());
}

#[test]
fn wider_rights_are_refused_with_the_remedy() {
    let home = home();
    let path = home.path().join("identity.key");
    load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o644, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = load_or_create(&path).unwrap_err();
        let IdentityError::Rights { mode: found, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, mode);
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    load_or_create(&path).unwrap();
}

#[test]
fn a_damaged_key_is_refused_and_left_as_it_is() {
    let home = home();
    let path = home.path().join("identity.key");
    load_or_create(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[8] ^= 1;
    for bytes in [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        vec![0; 68],
        b"-----BEGIN OPENSSH PRIVATE KEY-----".to_vec(),
        vec![8; 100_000],
        flipped,
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = load_or_create(&path).unwrap_err();
        assert!(matches!(error, IdentityError::Corrupt { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "one sentence: {error}");
        assert!(!error.is_retryable());
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn non_file_is_refused() {
    let home = home();
    let error = load_or_create(home.path()).unwrap_err();
    assert!(matches!(error, IdentityError::Corrupt { .. }), "{error}");
    let missing = home.path().join("no/such/place/identity.key");
    let error = load_or_create(&missing).unwrap_err();
    assert!(matches!(error, IdentityError::Io { action: "write", .. }), "{error}");
    // A link without a target is not overwritten.
    let link = home.path().join("link.key");
    symlink(home.path().join("nowhere"), &link).unwrap();
    load_or_create(&link).unwrap_err();
    assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
}

#[test]
fn first_of_concurrent_starts_creates_the_key() {
    let home = home();
    let path = home.path().join("identity.key");
    let found: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| load_or_create(&path).unwrap().public())).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert!(found.iter().all(|key| *key == found[0]));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}
