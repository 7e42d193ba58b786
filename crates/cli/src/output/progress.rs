//! Progress bars, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Output;

/// A bar for `total` tasks on standard error; one that is not seen, where nobody looks.
pub(crate) fn bar(out: &Output, total: u64) -> ProgressBar {
    let target =
        if out.shows_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // What cannot be written is not shown.
        write!(text, "{:.0}/s", state.per_sec()).ok();
    };
    match ProgressStyle::with_template("{bar:24} {human_pos}/{human_len}  {rate}  {msg}  eta {eta}")
    {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        // Without the style it is a plain bar.
        Err(_) => bar,
    }
}
