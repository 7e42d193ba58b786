//! Groups: waiting for their tasks, their states, and their results in order.

use indicatif::ProgressBar;
use meshwork_api::{Client, GroupQuery, GroupState, GroupView, WaitCode};
use meshwork_core::limits::GROUP_IDLE;

use super::{
    away::{Away, Waited},
    results::Lines,
    story,
    task::{self, words},
};
use crate::{
    exit,
    failure::Failure,
    limits,
    output::{Output, Table, bar, format},
};

#[cfg(test)]
mod tests;

/// Waits until a group has ended. With `lines`, prints each result as soon as its turn has come.
pub(super) async fn wait(
    group: GroupView,
    mut lines: Option<&mut Lines<'_>>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<GroupView> {
    let mut group = group;
    let mut away = Away::new(Waited::group(&group), client, out);
    let bar =
        bar(out, group.members, format::between(group.submitted_at, meshwork_node::time_of_day()));
    let often = out.shows_bars() || lines.is_some();
    let each = if often { limits::BAR_INTERVAL } else { limits::PLAIN_WAIT };
    let (mut printed, mut warned) = (0, false);
    loop {
        bar.set_length(group.members);
        bar.set_position(group.ended());
        bar.set_message(message(&group));
        if let Some(lines) = &mut lines
            && group.ended() > u64::from(printed)
        {
            printed = lines.group(&group.id, printed, &bar, &mut away).await?;
        }
        if group.is_ended() {
            break;
        }
        group = away.ask(async || client.group(&group.id, each).await).await?;
        if group.state == GroupState::Open && group.ended() == group.members && !warned {
            warned = true;
            let so_far = format::count(group.members);
            out.say(format!(
                "all {so_far} tasks so far have ended; the group is not complete and waits for more; \
                 it counts as ended if none comes for {}",
                format::span(GROUP_IDLE)
            ));
        }
    }
    bar.finish_and_clear();
    if lines.is_some() {
        all_printed(&group, printed)?;
    }
    Ok(group)
}

/// Checks that a line was printed for each member of an ended group.
fn all_printed(group: &GroupView, printed: u32) -> Result<(), Failure> {
    if u64::from(printed) == group.members {
        return Ok(());
    }
    let GroupView { short, members, .. } = group;
    let message = format!("the node gave {printed} of {members} results of group {short}");
    let failure = Failure::new(exit::FAILED, "incomplete", message);
    Err(failure.with_hint(format!("meshwork task result {short}")))
}

fn message(group: &GroupView) -> String {
    let mut words = Vec::new();
    match group.workers {
        0 => {}
        1 => words.push("1 peer".to_owned()),
        peers => words.push(format!("{} peers", format::count(peers))),
    }
    if group.unsuccessful() > 0 {
        words.push(format!("{} failed", format::count(group.unsuccessful())));
    }
    words.join("  ")
}

/// The state of a group and the counts of its tasks.
pub(super) fn summary(group: &GroupView) -> String {
    let state = match &group.state {
        GroupState::Open
        | GroupState::Stopping
        | GroupState::Cancelled
        | GroupState::Unfinished => format!(", {}", group.state),
        GroupState::Running | GroupState::Succeeded | GroupState::Failed | GroupState::Other(_) => {
            String::new()
        }
    };
    format!("group {}{state}: {}", group.short, counts(group))
}

/// The number of tasks in each state that occurs.
pub(super) fn counts(group: &GroupView) -> String {
    let parts = [
        ("queued", group.queued),
        ("running", group.running),
        ("succeeded", group.succeeded),
        ("failed", group.failed),
        ("cancelled", group.cancelled),
        ("expired", group.expired),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{} {what}", format::count(*count)))
        .collect();
    parts.join(", ")
}

/// Prints how a group has ended and what the user can do about failed tasks.
pub(super) fn say_end(group: &GroupView, out: &Output) {
    out.say(summary(group));
    match (&group.cancel_reason, group.stopped) {
        (Some(reason), _) if !reason.is_empty() => {
            out.say(format!("the group was cancelled: {}", format::printable(reason)));
        }
        (Some(_), _) | (None, false) => {}
        (None, true) => {
            let most = group.max_fails.unwrap_or(0);
            out.say(format!("more than {most} tasks did not succeed: the others were cancelled"));
        }
    }
    if group.state == GroupState::Unfinished {
        out.say(format!(
            "its last tasks were never submitted, and none has come for {}; to continue, submit the \
             same group again with its --key",
            format::span(GROUP_IDLE)
        ));
    }
    if group.unsuccessful() > 0 {
        let short = &group.short;
        out.say(format!(
            "  see them    meshwork task list --group {short} --state failed,expired,cancelled\n  \
             try again   meshwork task retry {short}"
        ));
    }
}

/// Lists groups, the newest first.
pub(super) async fn list(
    all: bool,
    states: Vec<GroupState>,
    limit: usize,
    client: &Client,
    out: &Output,
) -> anyhow::Result<()> {
    let states = match (all, states.is_empty()) {
        (false, true) => GroupState::OPEN.to_vec(),
        (true, _) | (false, false) => states,
    };
    let query = GroupQuery { states, limit: Some(limit), cursor: None };
    let list = client.groups(&query).await?;
    if list.next_cursor.is_some() {
        let which = match (all, query.states == GroupState::OPEN) {
            (true, _) => " --all".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!(" --state {}", words(&query.states)),
        };
        out.say(task::more(list.items.len(), &format!("meshwork task groups{which}")));
    }
    if out.json {
        return out.value(&list);
    }
    if out.quiet {
        for group in &list.items {
            out.line(&group.id)?;
        }
        return Ok(());
    }
    if list.items.is_empty() {
        out.say(if all {
            "no groups"
        } else {
            "no matching groups; to include ended groups: meshwork task groups --all"
        });
        return Ok(());
    }
    Ok(table(&list.items, out.stdout_tty).print(out)?)
}

fn table(groups: &[GroupView], people: bool) -> Table {
    let mut table = Table::new(&[
        "GROUP",
        "STATE",
        "TASKS",
        "QUEUED",
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
        "CANCELLED",
        "EXPIRED",
        "SUBMITTED",
    ]);
    let count = |number| if people { format::count(number) } else { number.to_string() };
    for group in groups {
        table.row([
            if people { group.short.clone() } else { group.id.clone() },
            group.state.to_string(),
            count(group.members),
            count(group.queued),
            count(group.running),
            count(group.succeeded),
            count(group.failed),
            count(group.cancelled),
            count(group.expired),
            if people {
                format::ago(group.submitted_at, meshwork_node::time_of_day())
            } else {
                format::time(group.submitted_at)
            },
        ]);
    }
    table
}

/// Prints why the tasks of a group wait, and which failed first.
pub(super) async fn explain(id: &str, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let explained = client.explain_group(id).await?;
    if out.json {
        out.value(&explained)?;
    } else if out.quiet {
        out.line(&explained.group.id)?;
    } else {
        out.data(story::group(&explained, meshwork_node::time_of_day()).as_bytes())?;
    }
    let nobody =
        explained.waiting.iter().any(|waiting| waiting.why.code == WaitCode::NoEligiblePeer);
    Ok(if nobody { exit::NO_PEER } else { exit::DONE })
}

/// The state of a group after a request to cancel it.
pub(super) fn after_cancel(group: &GroupView) -> String {
    if group.cancel_reason.is_none() && group.is_ended() {
        return format!("group {} has already ended: {}", group.short, counts(group));
    }
    summary(group)
}

/// The exit code for a group that has ended.
pub(super) fn code(group: &GroupView) -> u8 {
    if group.state == GroupState::Succeeded { exit::DONE } else { exit::FAILED }
}

/// Prints all results of a group that has ended.
pub(super) async fn results(group: GroupView, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if !group.is_ended() {
        return Err(Failure::new(exit::FAILED, "not_ended", summary(&group))
            .with_hint(format!("meshwork wait {} --results", group.short))
            .into());
    }
    let mut lines = Lines::new(client, out);
    let mut away = Away::new(Waited::group(&group), client, out);
    let printed = lines.group(&group.id, 0, &ProgressBar::hidden(), &mut away).await?;
    all_printed(&group, printed)?;
    Ok(if lines.lost() > 0 { exit::FAILED } else { code(&group) })
}
