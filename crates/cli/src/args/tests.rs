use std::{collections::BTreeSet, time::Duration};

use clap::{CommandFactory, Parser, error::ErrorKind};
use meshwork::NetworkConfig;
use meshwork_core::Accept;

use super::{values::AcceptRule, *};

mod hints;

fn parse(line: &str) -> Cli {
    Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refused(line: &str) -> (ErrorKind, String) {
    let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
    (error.kind(), error.to_string())
}

fn up(line: &str) -> UpArgs {
    let Verb::Up(args) = parse(line).verb else { panic!("{line}") };
    *args
}

fn run(line: &str) -> RunArgs {
    let verb = parse(line).verb;
    if let Verb::Run(args) = verb {
        return *args;
    }
    let Verb::Submit(args) = verb else { panic!("{line}") };
    args.run
}

#[test]
fn command_line_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_of_up_are_those_of_the_library() {
    let UpArgs {
        max_peers, network, lease, grace, heartbeat, keep_results, keep_results_max, ..
    } = up("meshwork up");
    let NetworkConfig { tasks, .. } = NetworkConfig::default();
    assert_eq!((max_peers, network), (NetworkConfig::default().max_peers, "main".to_owned()));
    assert_eq!(heartbeat, NetworkConfig::default().ping_interval);
    assert_eq!((lease, grace), (tasks.lease, tasks.stop_grace));
    assert_eq!((keep_results, keep_results_max), (tasks.keep_results, tasks.keep_bytes));
}

#[test]
fn help_lists_exactly_the_visible_verbs() {
    let known: BTreeSet<String> = Cli::command()
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let shown: BTreeSet<String> = HELP
        .lines()
        .filter(|line| line.starts_with("  "))
        .flat_map(|line| line.split("  ").filter(|part| !part.is_empty()))
        .map(|part| part.split_whitespace().next().unwrap_or_default().to_owned())
        .filter(|word| known.contains(word))
        .collect();
    assert_eq!(shown, known);
    let verbs = [
        "accept",
        "bench",
        "blob",
        "completions",
        "demo",
        "down",
        "drain",
        "events",
        "handlers",
        "metrics",
        "peers",
        "ping",
        "run",
        "status",
        "store",
        "submit",
        "task",
        "up",
        "version",
        "wait",
    ];
    assert_eq!(known, verbs.map(str::to_owned).into());
}

#[test]
fn every_visible_flag_has_a_help_text() {
    fn check(command: &clap::Command) {
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn global_flags_are_accepted_anywhere() {
    let cli = parse("meshwork task --json list --home /h -vv -q --no-color");
    let Global { home, json, quiet, no_color, verbose } = cli.global;
    assert_eq!(home, Some("/h".into()));
    assert!(json && quiet && no_color);
    assert_eq!(verbose, 2);
}

#[test]
fn up_accepts_lists_and_repeated_address_flags() {
    let listen = "/ip4/127.0.0.1/tcp/0";
    let quic = "/ip4/127.0.0.1/udp/0/quic-v1";
    let args = up(&format!("meshwork up --listen {listen} {quic} --bootstrap {listen}"));
    assert_eq!((args.listen.len(), args.bootstrap.len()), (2, 1));
    let args = up(&format!("meshwork up --listen {listen} --listen {quic}"));
    assert_eq!(args.listen.len(), 2);
    assert_eq!(args.network, "main");
    assert_eq!(args.lease, Duration::from_secs(15));
}

#[test]
fn up_parses_policy_and_offered_capacity() {
    let args =
        up("meshwork up --accept text=listed --accept anyone --mem 1.5GiB --label a=b=c --cpus 3 \
         --capability big --slots 0 --lease 2s --no-mdns --debug-handlers");
    assert_eq!(
        args.accept,
        [
            AcceptRule { family: Some("text".to_owned()), accept: Accept::Listed },
            AcceptRule { family: None, accept: Accept::Anyone },
        ]
    );
    assert_eq!(args.mem, Some(1_610_612_736));
    assert_eq!(args.label, [("a".to_owned(), "b=c".to_owned())]);
    assert_eq!((args.cpus, args.slots), (Some(3), Some(0)));
    assert_eq!(args.lease, Duration::from_secs(2));
}

#[test]
fn run_parses_inputs_limits_and_requirements() {
    let args = run(
        "meshwork run text/upper hello world -p n=3 --on bee --retries 0 --time 30s --deadline 1h \
         --queue-timeout 500ms --priority -5 --key k --gpu 1",
    );
    assert_eq!(args.input, ["hello", "world"]);
    assert_eq!(args.param, [("n".to_owned(), "3".to_owned())]);
    assert_eq!(args.on, ["bee"]);
    assert_eq!(args.retries, Some(0));
    assert_eq!(args.time, Some(Duration::from_secs(30)));
    assert_eq!(args.deadline, Some(Duration::from_secs(3_600)));
    assert_eq!(args.queue_timeout, Some(Duration::from_millis(500)));
    assert_eq!((args.priority, args.gpu), (-5, 1));
    assert_eq!(run("meshwork submit text/hash -").input, ["-"]);
}

#[test]
fn ping_has_a_count_and_an_interval() {
    let ping = |line: &str| {
        let Verb::Ping(args) = parse(line).verb else { panic!("{line}") };
        (args.peer, args.count, args.interval)
    };
    assert_eq!(ping("meshwork ping bee"), ("bee".to_owned(), 5, Duration::from_secs(1)));
    let often = ping("meshwork ping bee -c 2 --interval 20ms");
    assert_eq!(often, ("bee".to_owned(), 2, Duration::from_millis(20)));
    assert!(refused("meshwork ping bee --count 0").1.contains("--count"));
}

#[test]
fn error_of_a_flag_shows_a_valid_value() {
    for (line, flag, remedy) in [
        ("meshwork up --accept text=me", "--accept", "nobody, listed or anyone"),
        ("meshwork up --accept Text=listed", "--accept", "text=listed"),
        ("meshwork up --listen nowhere", "--listen", "nowhere"),
        ("meshwork up --trust bee", "--trust", "bee"),
        ("meshwork up --mem lots", "--mem", "512MiB"),
        ("meshwork up --lease soon", "--lease", "30s"),
        ("meshwork up --label site", "--label", "NAME=VALUE"),
        ("meshwork run text/upper --time 0s", "--time", "omit the flag"),
        ("meshwork run text/upper --retries 100", "--retries", "0..100"),
        ("meshwork run text/upper --priority 200", "--priority", "127"),
        ("meshwork task list --limit 0", "--limit", "at least 1"),
        ("meshwork task groups --limit 0", "--limit", "at least 1"),
        ("meshwork task groups --limit all", "--limit", "such as 20"),
        ("meshwork up --debug-log /x", "--debug-handlers", "required"),
    ] {
        let (kind, text) = refused(line);
        assert!(text.contains(flag) && text.contains(remedy), "{line}: {kind:?}: {text}");
    }
}

#[test]
fn sizes_parse_in_binary_and_decimal_units() {
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("64KiB", 65_536),
        ("64k", 65_536),
        ("2 MiB", 2_097_152),
        ("2GB", 2_000_000_000),
        ("0.5KiB", 512),
        ("1TiB", 1_099_511_627_776),
    ] {
        assert_eq!(values::bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "x", "-1", "1 lot", "1e9", "99999999999TiB", "1.2.3", "0.5e9TiB"] {
        assert!(values::bytes(text).is_err(), "{text}");
    }
}

#[test]
fn only_single_task_verbs_exit_with_the_tasks_code() {
    for (line, expected) in [
        ("meshwork run text/upper", true),
        ("meshwork wait last", true),
        ("meshwork submit text/upper --wait", true),
        ("meshwork wait 8f3a21", true),
        ("meshwork wait all", false),
        ("meshwork wait a b", false),
        ("meshwork submit text/upper", false),
        ("meshwork task show last", false),
    ] {
        assert_eq!(parse(line).verb.ends_as_its_task(), expected, "{line}");
    }
}

/// An unset shell variable must not select a task or peer by accident.
#[test]
fn empty_name_is_a_usage_error_in_every_verb() {
    // These are texts, or addresses, which the node checks.
    const NO_NAMES: [&str; 6] = ["input", "reason", "home", "listen", "bootstrap", "debug_log"];
    fn walk(command: &clap::Command, verbs: &[String], checked: &mut usize) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            if NO_NAMES.contains(&arg.get_id().as_str()) {
                continue;
            }
            let given = match arg.get_long() {
                Some(long) => vec![format!("--{long}"), String::new()],
                None if arg.get_index() == Some(1) => vec![String::new()],
                None => continue,
            };
            let line = ["meshwork".to_owned()].into_iter().chain(verbs.to_vec()).chain(given);
            let line: Vec<String> = line.collect();
            let Err(error) = Cli::try_parse_from(&line) else { panic!("{line:?} is accepted") };
            let kind = error.kind();
            let is_named = matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue);
            assert!(is_named, "{line:?}: {kind:?}: {error}");
            *checked += 1;
        }
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            walk(verb, &[verbs, &[verb.get_name().to_owned()]].concat(), checked);
        }
    }
    let mut checked = 0;
    // The indexes of arguments are known after the build.
    let mut command = Cli::command();
    command.build();
    walk(&command, &[], &mut checked);
    assert!(checked > 60, "{checked}");
}

#[test]
fn array_parses_numbers_ranges_and_lists() {
    let range = |from, to, step| meshwork_api::RangeSpec { from, to, step };
    for (text, ranges) in [
        ("7", vec![range(7, 7, 1)]),
        ("0-90:10", vec![range(0, 90, 10)]),
        ("1,3,5-9", vec![range(1, 1, 1), range(3, 3, 1), range(5, 9, 1)]),
        ("9, 1-5:2, 9", vec![range(9, 9, 1), range(1, 5, 2), range(9, 9, 1)]),
    ] {
        assert_eq!(values::array(text), Ok(Array(ranges)), "{text}");
    }
    for (text, why) in [
        ("", "not a number or a range"),
        ("1,", "not a number or a range"),
        ("a-b", "not a number or a range"),
        ("3:2", "not a number or a range"),
        ("5-1", "lower number first"),
        ("1-5:0", "step must be at least 1"),
        ("0-9999999,1", "10000001 tasks are too many; a group has at most 10000000"),
    ] {
        let error = values::array(text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    }
}
