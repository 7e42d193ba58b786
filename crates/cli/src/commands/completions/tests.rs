use clap::ValueEnum;

use super::*;

#[test]
fn scripts_of_all_shells_name_every_visible_verb() {
    let command = Cli::command();
    for shell in Shell::value_variants() {
        let text = String::from_utf8(script(*shell)).unwrap();
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            assert_eq!(text.contains(name), !verb.is_hide_set(), "{shell}: {name}");
        }
        assert!(text.contains("home") && text.contains("retries"), "{shell}");
    }
}
