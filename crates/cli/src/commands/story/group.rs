//! A group's story: counts of its tasks, why they wait, the first failures, and the next command.

use chrono::{DateTime, Utc};
use meshwork_api::{GroupState, GroupStory, GroupView, MemberResult};
use meshwork_core::limits::GROUP_IDLE;

use super::{waits, why};
use crate::{commands::group::counts, output::format};

#[cfg(test)]
mod tests;

/// The story of a group as text.
pub(in crate::commands) fn group(story: &GroupStory, now: DateTime<Utc>) -> String {
    let group = &story.group;
    let mut text = format!(
        "{}  {}  group of {} tasks\nid        {}\ntasks     {}\n",
        group.short,
        group.state.as_str().to_uppercase(),
        format::count(group.members),
        group.id,
        counts(group)
    );
    let since = |then| format::span(format::between(then, now));
    let (first, latest) = (since(group.submitted_at), since(group.handed_in_at));
    text.push_str(&format!("when      submitted {first} ago, its latest tasks {latest} ago\n"));
    if let Some(stops) = stops(group) {
        text.push_str(&format!("stops     {stops}\n"));
    }
    if group.state == GroupState::Open && group.queued == 0 {
        let idle = format::span(GROUP_IDLE);
        text.push_str(&format!(
            "waits     for more tasks; counts as unfinished if all have ended and none comes for {idle}\n"
        ));
    }
    for waiting in &story.waiting {
        let what = format!("{} of {}: ", format::count(waiting.members), waiting.handler);
        text.push_str(&waits(&what, &waiting.why, now));
    }
    if story.waiting_others > 0 {
        let others = format::count(story.waiting_others);
        text.push_str(&format!("waits     {others} with other requirements\n"));
    }
    if !story.failures.is_empty() {
        text.push_str("failed first\n");
    }
    for failure in &story.failures {
        text.push_str(&failed(failure));
    }
    text.push_str(&format!("next      {}\n", next(group)));
    text
}

/// Why the group was stopped, or the limit that would stop it.
fn stops(group: &GroupView) -> Option<String> {
    if let Some(reason) = &group.cancel_reason {
        let why = if reason.is_empty() { "" } else { ": " };
        return Some(format!("it was cancelled{why}{}", format::printable(reason)));
    }
    let most = group.max_fails?;
    let fails = format::count(group.failed + group.expired);
    Some(if group.stopped {
        format!("stopped: more than {most} did not succeed (--max-fails): {fails}")
    } else {
        format!("when more than {most} did not succeed (--max-fails): {fails} so far")
    })
}

fn failed(member: &MemberResult) -> String {
    let error = member.error.as_ref();
    let on = error.and_then(|error| error.worker.as_deref());
    let on = on.map_or_else(String::new, |worker| format!(" on {}", format::short_peer(worker)));
    let why = error.map_or_else(String::new, |error| format!(": {}", why(error)));
    format!("  {}  {}{on}{why}\n", member.index, member.state)
}

fn next(group: &GroupView) -> String {
    let short = &group.short;
    match group.state {
        GroupState::Failed | GroupState::Cancelled if group.unsuccessful() > 0 => {
            format!("meshwork task retry {short}")
        }
        GroupState::Succeeded | GroupState::Failed | GroupState::Cancelled => {
            format!("meshwork task result {short}")
        }
        GroupState::Unfinished => "submit the same group again with its --key".to_owned(),
        GroupState::Open | GroupState::Running | GroupState::Stopping | GroupState::Other(_) => {
            format!("meshwork wait {short}, or meshwork task cancel {short}")
        }
    }
}
