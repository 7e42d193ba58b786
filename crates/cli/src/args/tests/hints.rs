//! Every command in messages, help texts and the README must be accepted by this program.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Parser as _, error::ErrorKind};

use super::Cli;

/// Texts that end a command inside a sentence, two spaces among them.
const ENDS: &[&str] = &[
    "  ", "\"", "`", "\n", ")", "(", ",", ";", "|", " > ", "&&", "…", ". ", ": ", " #", " in ",
    " and ", " or ", " keeps ", " shows ",
];

/// The shipped Rust files of all crates, and the README.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![crates.parent().unwrap().join("README.md")];
    let mut dirs: Vec<PathBuf> = fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|dir| dir.is_dir())
        .collect();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_test = name == "tests" || name == "tests.rs" || name == "generated.rs";
            if path.is_dir() && !is_test {
                dirs.push(path);
            } else if name.ends_with(".rs") && !is_test {
                files.push(path);
            }
        }
    }
    files
}

/// The text of a file without comments for developers; continued lines are joined.
fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//!") && (!line.starts_with("//") || line.starts_with("///"))
    };
    let (mut joined, mut goes_on) = (String::new(), false);
    for line in text.lines().filter(is_code) {
        // The indentation of a continued line is not part of the literal.
        let line = if goes_on { line.trim_start() } else { line };
        goes_on = line.ends_with('\\');
        joined.push_str(line.trim_end_matches('\\'));
        joined.push_str(if goes_on { "" } else { "\n" });
    }
    joined
}

/// The commands in a text, with a word in place of each placeholder.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("meshwork ") {
        let before = &text[..at];
        // Here it is the program, a path or a name, not a command.
        let is_word = ["the ", "of ", "name = "].iter().any(|end| before.ends_with(end));
        let is_part = before.ends_with(|c: char| c.is_alphanumeric() || "-_./{=".contains(c));
        if is_word || is_part {
            continue;
        }
        let rest = &text[at..];
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let verb = rest["meshwork ".len()..].chars().next().unwrap_or(' ');
        if verb.is_ascii_lowercase() {
            found.push(filled(&rest[..end]));
        }
    }
    found
}

/// Replaces each placeholder by a word, or by nothing if it directly follows a word.
fn filled(command: &str) -> String {
    let mut text = String::new();
    let mut parts = command.split('{');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let is_whole = text.ends_with([' ', '=', '@', '/', '\'']);
        text.push_str(if is_whole { "x" } else { "" });
        text.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    text.trim().trim_end_matches(['.', ':']).to_owned()
}

/// Whether the command only names a value (`PEER_ID`), has a placeholder, or lacks its last value.
fn names_a_value(command: &str) -> bool {
    let is_name =
        |word: &str| word == "x" || word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let mut words = command.split_whitespace();
    words.clone().any(is_name) || words.next_back().is_some_and(|last| last.starts_with("--"))
}

fn is_taken(command: &str) -> Result<(), String> {
    let words = command.split_whitespace().map(|word| word.trim_matches('\''));
    let Err(error) = Cli::try_parse_from(words) else { return Ok(()) };
    let named = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        // A verb or a flag without its arguments.
        ErrorKind::MissingRequiredArgument,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let of_value = [ErrorKind::InvalidValue, ErrorKind::ValueValidation];
    let kind = error.kind();
    let is_fine = named.contains(&kind) || of_value.contains(&kind) && names_a_value(command);
    if is_fine { Ok(()) } else { Err(error.to_string()) }
}

#[test]
fn every_command_in_messages_and_help_is_valid() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in sources() {
        for command in commands(&text(&path)) {
            count += 1;
            if let Err(error) = is_taken(&command) {
                let error = error.lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{}: {command}: {error}", path.display()));
            }
        }
    }
    assert!(count > 60, "only {count} commands were found");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn invalid_command_in_a_message_is_found() {
    let named = |text: &str| commands(text).iter().all(|command| is_taken(command).is_ok());
    assert!(named("see it: meshwork task show {short}, or wait: meshwork wait {short}"));
    assert!(!named("see it: meshwork task look {short}"));
    assert!(!named("it waits: meshwork wait {short} --forever"));
}
