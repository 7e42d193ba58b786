use clap::ValueEnum;

use super::*;

#[test]
fn every_shell_is_told_every_verb_and_no_hidden_one() {
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
