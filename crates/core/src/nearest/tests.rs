use super::*;

#[test]
fn typo_finds_its_name_and_other_words_find_none() {
    let known = ["text", "debug", "command"];
    for (typed, meant) in [
        ("txt", Some("text")),
        ("txet", Some("text")),
        ("texts", Some("text")),
        ("comand", Some("command")),
        ("wasm", None),
        ("", None),
    ] {
        assert_eq!(nearest(typed, known), meant, "{typed}");
    }
}
