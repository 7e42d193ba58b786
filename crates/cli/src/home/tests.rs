use super::*;

#[test]
fn everything_lies_in_the_folder_that_was_asked_for() {
    let home = Home::of(Some(Path::new("/h"))).unwrap();
    assert_eq!(home.dir(), Path::new("/h"));
    assert_eq!(home.socket(), Path::new("/h/api.sock"));
    assert_eq!(home.identity(), Path::new("/h/identity.key"));
}

#[test]
fn a_relative_folder_is_made_whole() {
    let home = Home::of(Some(Path::new("h"))).unwrap();
    assert_eq!(home.dir(), std::env::current_dir().unwrap().join("h"));
}

#[test]
fn an_empty_folder_name_is_refused() {
    let failure = Home::of(Some(Path::new(""))).unwrap_err();
    assert_eq!(failure.exit, 2);
    assert!(failure.message.contains("--home") && failure.hint.is_some());
}
