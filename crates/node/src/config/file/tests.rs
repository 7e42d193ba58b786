use super::*;

fn parse(text: &str) -> Result<ConfigFile, HomeError> {
    ConfigFile::parse(Path::new("/h/config.toml"), text, &["text", "demo"])
}

#[test]
fn rules_are_read_and_an_empty_file_has_none() {
    assert_eq!(parse("").unwrap().accept, AcceptPolicy::default());
    let file = parse("# mine\n[accept]\ntext = \"nobody\"\ndebug = \"anyone\"\n").unwrap();
    assert_eq!(file.accept.rule("text"), Some(Accept::Nobody));
    // Reserved, though this node has no such handlers today.
    assert_eq!(file.accept.rule("debug"), Some(Accept::Anyone));
    assert!(file.lan.is_empty());
    let file =
        parse("lan = [\"10.0.0.0/8\", \"fd00::/8\"]\n[accept]\ntext = \"nobody\"\n").unwrap();
    assert_eq!(file.lan, ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap()));
    assert_eq!(file.accept.rule("text"), Some(Accept::Nobody));
    let inline = parse("accept = { demo = \"listed\" }").unwrap();
    assert_eq!(inline.accept.rule("demo"), Some(Accept::Listed));
}

#[test]
fn unknown_key_or_value_is_refused_with_line_and_remedy() {
    for (text, line, words) in [
        ("[acept]\ntext = \"listed\"\n", 1, "did you mean accept?"),
        ("\nname = \"bee\"\n", 2, "known: accept, lan"),
        ("lan = \"10.0.0.0/8\"\n", 1, "write a list of private ranges"),
        ("\nlan = [\"10.0.0.0/8\", 7]\n", 2, "write a list of private ranges"),
        ("lan = [\n\"8.8.8.0/24\",\n]\n", 2, "8.8.8.0/24"),
        ("[accept]\ntxet = \"nobody\"\n", 2, "did you mean text?"),
        ("[accept]\nwasm = \"nobody\"\n", 2, "known: text, demo, debug, command, exec"),
        ("[accept]\ntext = \"everybody\"\n", 2, "write nobody, listed or anyone"),
        ("[accept]\n\ntext = true\n", 3, "write \"nobody\", \"listed\" or \"anyone\""),
        ("accept = \"listed\"\n", 1, "write [accept]"),
        ("[accept]\ntext = \n", 2, ""),
        ("[accept]\ntext = \"listed\"\ntext = \"nobody\"\n", 3, "duplicate"),
        ("[accept]\n[accept.text]\n", 2, "write \"nobody\""),
    ] {
        let error = parse(text).unwrap_err();
        let HomeError::Config { line: at, .. } = &error else { panic!("{error}") };
        assert_eq!(*at, Some(line), "{text:?}: {error}");
        let message = error.to_string();
        assert!(
            message.starts_with("/h/config.toml") && message.contains(words),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn writing_keeps_comments_and_other_rules() {
    let mut file =
        parse("# whose work runs here\n[accept]\ntext = \"nobody\" # for now\ndemo = \"listed\"\n")
            .unwrap();
    let rules = AcceptPolicy::default().with("text", Accept::Listed).with("debug", Accept::Anyone);
    file.set_accept(&rules);
    assert_eq!(
        file.text(),
        "# whose work runs here\n[accept]\ntext = \"listed\" # for now\ndemo = \"listed\"\n\
         debug = \"anyone\"\n"
    );
    assert_eq!(parse(&file.text()).unwrap().accept, file.accept);
    let mut fresh = parse("").unwrap();
    fresh.set_accept(&rules);
    assert_eq!(parse(&fresh.text()).unwrap().accept, rules);
}
