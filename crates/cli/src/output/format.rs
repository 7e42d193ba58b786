//! Formats values for people.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use meshwork_api::ProgressView;

/// The start and the end of a peer id: `12D3KooWQh…f7Kx`.
pub(crate) fn short_peer(peer: &str) -> String {
    match (peer.get(..10), peer.get(peer.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) if peer.len() > 16 => format!("{start}…{end}"),
        _ => peer.to_owned(),
    }
}

/// A peer's name, or the short form of its id.
pub(crate) fn peer_label(name: Option<&str>, peer: &str) -> String {
    match name {
        Some(name) if !name.is_empty() => printable(name),
        _ => short_peer(peer),
    }
}

/// A fraction in whole percent, rounded down, so that 100 means complete.
pub(crate) fn percent(fraction: f32) -> u8 {
    (fraction.clamp(0.0, 1.0) * 100.0).floor() as u8
}

/// The progress of a running attempt: percent, and the handler's message.
pub(crate) fn progress(progress: &ProgressView) -> String {
    let percent = percent(progress.fraction);
    let message = printable(&progress.message);
    if message.is_empty() { format!("{percent} %") } else { format!("{percent} %  {message}") }
}

/// Foreign text without control characters, which could steer a terminal. Line feeds and tabs
/// become spaces.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A word for a shell's command line, quoted if necessary.
pub(crate) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The time since `then`: `now`, `12s ago`, `3h00m ago`.
pub(crate) fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let passed = between(then, now);
    if passed < Duration::from_secs(2) { "now".to_owned() } else { format!("{} ago", span(passed)) }
}

/// A time as RFC 3339 in UTC, for programs.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time from `from` to `to`; zero if `to` is earlier.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or(Duration::ZERO)
}

/// A duration: `850µs`, `3.1s`, `42s`, `9m18s`, `2h14m`, `3d4h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_millis(1) => format!("{}µs", duration.as_micros()),
        0 => format!("{}ms", duration.as_millis()),
        1..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Microseconds as milliseconds: `0.4ms`.
pub(crate) fn micros(us: u64) -> String {
    format!("{:.1}ms", us as f64 / 1_000.0)
}

/// A size in bytes: `512 B`, `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A number with thousands separators: `1,204`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
