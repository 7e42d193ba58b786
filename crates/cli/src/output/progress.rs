//! Progress bars, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use meshwork_api::TaskView;

use super::{Output, format};

/// A bar for `total` tasks that started `before` ago; hidden unless standard error is a terminal.
/// The rate covers the whole time, so that tasks that ended earlier do not look like a burst.
pub(crate) fn bar(out: &Output, total: u64, before: Duration) -> ProgressBar {
    let target =
        if out.shows_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let per_second = move |state: &ProgressState| rate(state.pos(), before + state.elapsed());
    let rate = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A part that cannot be written is not shown.
        write!(text, "{:.0}/s", per_second(state)).ok();
    };
    let eta = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let left = state.len().unwrap_or(0).saturating_sub(state.pos());
        let seconds = left as f64 / per_second(state);
        let shown = Duration::try_from_secs_f64(seconds.ceil());
        write!(text, "{}", shown.map_or_else(|_| "-".to_owned(), format::span)).ok();
    };
    match ProgressStyle::with_template("{bar:24} {human_pos}/{human_len}  {rate}  {msg}  eta {eta}")
    {
        Ok(style) => bar.with_style(style.with_key("rate", rate).with_key("eta", eta)),
        // Without the style, indicatif draws a plain bar.
        Err(_) => bar,
    }
}

/// A bar for `total` bytes, or for any number if that is 0; hidden unless standard error is a
/// terminal.
pub(crate) fn byte_bar(out: &Output, total: u64) -> ProgressBar {
    let target =
        if out.shows_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let (total, template) = match total {
        0 => (None, "{binary_bytes}  {binary_bytes_per_sec}"),
        total => (
            Some(total),
            "{bar:24} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  eta {eta}",
        ),
    };
    let bar = ProgressBar::with_draw_target(total, target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // Without the style, indicatif draws a plain bar.
        Err(_) => bar,
    }
}

/// Shows the progress of one task in `bar`. Returns false, and changes nothing, if it is not known.
pub(crate) fn show_progress(bar: &ProgressBar, task: &TaskView) -> bool {
    let Some(progress) = &task.progress else { return false };
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent} %  {msg}") {
        bar.set_style(style);
    }
    bar.set_length(100);
    bar.set_position(format::percent(progress.fraction).into());
    bar.set_message(format::printable(&progress.message));
    true
}

/// Tasks per second, if `ended` tasks took this time.
pub(super) fn rate(ended: u64, time: Duration) -> f64 {
    ended as f64 / time.as_secs_f64().max(0.001)
}
