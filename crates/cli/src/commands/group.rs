//! Groups: waiting for them, how they are, their results in order.

use std::time::Duration;

use meshwork_api::{Client, ClientError, GroupView, MemberResult, Payload};
use tokio::time::Instant;

use crate::{
    exit,
    failure::Failure,
    limits,
    output::{Output, bar, format},
};

/// The group of this name; none if it names no group.
pub(super) async fn find(client: &Client, name: &str) -> Result<Option<GroupView>, ClientError> {
    match client.group(name, Duration::ZERO).await {
        Ok(group) => Ok(Some(group)),
        Err(error) if ["not_found", "is_task"].contains(&error.code()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until all of a group has ended, and prints its results as they come if they are wanted.
pub(super) async fn wait(
    group: GroupView,
    results: bool,
    client: &Client,
    out: &Output,
) -> anyhow::Result<GroupView> {
    let mut group = group;
    let mut printer = Printer { next: 0, client, out };
    let bar = bar(out, group.members);
    let each = if out.shows_bars() || results { limits::BAR_INTERVAL } else { limits::PLAIN_WAIT };
    let mut told = false;
    loop {
        bar.set_length(group.members);
        bar.set_position(group.ended());
        bar.set_message(message(&group));
        if results && group.ended() > u64::from(printer.next) {
            bar.suspend(|| ());
            printer.print(&group.id).await?;
        }
        if group.is_ended() {
            break;
        }
        let asked = Instant::now();
        group = match client.group(&group.id, each).await {
            Ok(group) => group,
            Err(error) if error.is_retryable() && error.code() == "busy" => {
                tokio::time::sleep_until(asked + limits::BAR_INTERVAL).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if group.state == "open" && group.ended() == group.members && !told {
            told = true;
            let so_far = format::count(group.members);
            out.say(format!(
                "all {so_far} tasks so far have ended; the group is not complete, more may come"
            ));
        }
    }
    bar.finish_and_clear();
    Ok(group)
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

/// How a group has ended, or how far it is.
pub(super) fn summary(group: &GroupView) -> String {
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
    format!("group {}: {}", group.short, parts.join(", "))
}

/// What to do about what did not succeed.
pub(super) fn say_end(group: &GroupView, out: &Output) {
    out.say(summary(group));
    if group.stopped {
        let most = group.max_fails.unwrap_or(0);
        out.say(format!("more than {most} did not succeed: the others were cancelled"));
    }
    if group.unsuccessful() > 0 {
        let short = &group.short;
        out.say(format!(
            "  see them    meshwork task list --group {short} --state failed,expired,cancelled\n  \
             try again   meshwork task retry {short} --only-failed"
        ));
    }
}

/// The exit code for a group that has ended.
pub(super) fn code(group: &GroupView) -> u8 {
    if group.state == "succeeded" { exit::DONE } else { exit::FAILED }
}

/// Prints all results of a group that has ended.
pub(super) async fn results(group: GroupView, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if !group.is_ended() {
        return Err(Failure::new(exit::FAILED, "not_ended", summary(&group))
            .with_hint(format!("meshwork wait {} --results", group.short))
            .into());
    }
    Printer { next: 0, client, out }.print(&group.id).await?;
    Ok(code(&group))
}

/// Prints results in the order of their members.
struct Printer<'a> {
    /// The place of the next one.
    next: u32,
    client: &'a Client,
    out: &'a Output,
}

impl Printer<'_> {
    /// Those that are there, up to the first member that has not ended.
    async fn print(&mut self, group: &str) -> anyhow::Result<()> {
        loop {
            let page = self.client.group_results(group, self.next).await?;
            for member in page.items {
                if member.is_open() {
                    return Ok(());
                }
                self.one(member)?;
                self.next += 1;
            }
            if page.next_cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn one(&self, member: MemberResult) -> anyhow::Result<()> {
        if self.out.json {
            return self.out.value(&member);
        }
        match member.output.map(Payload::into_bytes) {
            Some(bytes) => {
                let mut line = bytes.to_vec();
                if !line.ends_with(b"\n") {
                    line.push(b'\n');
                }
                Ok(self.out.data(&line)?)
            }
            None => {
                let why = match &member.error {
                    Some(error) => format!(": {}", format::printable(&error.message)),
                    None => ": its result is not kept any more".to_owned(),
                };
                self.out.say(format!("task {} of the group {}{why}", member.index, member.state));
                Ok(())
            }
        }
    }
}
