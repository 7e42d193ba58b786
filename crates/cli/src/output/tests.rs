use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta};

use super::*;

#[test]
fn only_standard_output_ends_a_command_quietly() {
    let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
    assert!(is_reader_gone(&Unwritable(pipe()).into()));
    let wrapped = Err::<(), _>(Unwritable(pipe())).context("cannot print").unwrap_err();
    assert!(is_reader_gone(&wrapped));
    assert!(!is_reader_gone(&Unwritable(io::Error::other("full")).into()));
    assert!(!is_reader_gone(&pipe().into()));
    let socket = Err::<(), _>(pipe()).context("the node did not answer").unwrap_err();
    assert!(!is_reader_gone(&socket));
}

#[test]
fn table_is_aligned_for_people_and_tabbed_for_programs() {
    let mut table = Table::new(&["TASK", "STATE"]);
    table.row(["8f3a21".to_owned(), "queued".to_owned()]);
    table.row(["x".to_owned(), String::new()]);
    table.row(["y".to_owned(), "tab\there\u{1b}[2J".to_owned()]);
    assert_eq!(table.clone().tabbed(), "8f3a21\tqueued\nx\t-\ny\ttab here\u{fffd}[2J\n");
    let text = table.aligned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "TASK    STATE");
    assert_eq!(lines[1], "8f3a21  queued");
    assert_eq!(lines[2], "x       -");
}

#[test]
fn foreign_text_cannot_steer_the_terminal() {
    assert_eq!(format::printable("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb c\u{fffd}d");
    assert_eq!(format::printable("größe ✓"), "größe ✓");
}

#[test]
fn durations_use_fitting_units() {
    for (ms, text) in [
        (0, "0µs"),
        (850, "850ms"),
        (3_100, "3.1s"),
        (42_000, "42s"),
        (558_000, "9m18s"),
        (8_040_000, "2h14m"),
        (273_600_000, "3d4h"),
    ] {
        assert_eq!(format::span(Duration::from_millis(ms)), text);
    }
    assert_eq!(format::span(Duration::from_micros(850)), "850µs");
    let now = DateTime::UNIX_EPOCH;
    assert_eq!(format::ago(now, now), "now");
    assert_eq!(format::ago(now - TimeDelta::hours(3), now), "3h00m ago");
    // The clock was set back.
    assert_eq!(format::ago(now + TimeDelta::hours(3), now), "now");
}

#[test]
fn numbers_are_formatted_for_people() {
    assert_eq!(format::count(0), "0");
    assert_eq!(format::count(999), "999");
    assert_eq!(format::count(1_204), "1,204");
    assert_eq!(format::count(1_000_000), "1,000,000");
    assert_eq!(format::size(512), "512 B");
    assert_eq!(format::size(1_572_864), "1.5 MiB");
    assert_eq!(format::size(1 << 60), "1048576.0 TiB");
    assert_eq!(format::micros(400), "0.4ms");
}

#[test]
fn path_in_a_command_is_one_word() {
    for (path, shown) in [
        ("/home/a/.local", "/home/a/.local"),
        ("/with space", "'/with space'"),
        ("/it's", r"'/it'\''s'"),
        ("/$HOME;x", "'/$HOME;x'"),
        ("", "''"),
    ] {
        assert_eq!(format::shell(path), shown);
    }
}

#[test]
fn rate_counts_the_time_before_the_bar() {
    assert!((progress::rate(1_200, Duration::from_secs(60)) - 20.0).abs() < 1e-9);
    assert!(progress::rate(0, Duration::ZERO).abs() < 1e-9);
    assert!(progress::rate(1, Duration::ZERO).is_finite());
}

#[test]
fn peer_label_is_a_name_or_both_ends_of_an_id() {
    let id = "12D3KooWMDcGN1Y98nb4GeGSuLrwn9NeKp1oT1AKo6KsH8gwZpZj";
    assert_eq!(format::short_peer(id), "12D3KooWMD…ZpZj");
    assert_eq!(format::short_peer("short"), "short");
    assert_eq!(format::peer_label(Some("bee"), id), "bee");
    assert_eq!(format::peer_label(Some(""), id), "12D3KooWMD…ZpZj");
}
