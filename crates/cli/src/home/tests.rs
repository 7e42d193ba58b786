use super::*;

#[test]
fn chosen_home_holds_all_files() {
    let home = Home::of(Some(Path::new("/h"))).unwrap();
    assert_eq!(home.dir(), Path::new("/h"));
    assert_eq!(home.socket(), Path::new("/h/api.sock"));
    assert_eq!(home.identity(), Path::new("/h/identity.key"));
}

#[test]
fn relative_home_becomes_absolute() {
    let home = Home::of(Some(Path::new("h"))).unwrap();
    assert_eq!(home.dir(), std::env::current_dir().unwrap().join("h"));
}

#[test]
fn empty_home_is_refused() {
    let failure = Home::of(Some(Path::new(""))).unwrap_err();
    assert_eq!(failure.exit, 2);
    assert!(failure.message.contains("--home") && failure.hint.is_some());
}
