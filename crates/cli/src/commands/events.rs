//! `events`.

use std::collections::HashMap;

use meshwork_api::{Client, ClientError, EventType, EventView, Events};

use crate::{
    args::EventsArgs,
    exit, limits,
    output::{Output, format},
    signals::Signals,
};

#[cfg(test)]
mod tests;

/// Prints events until Ctrl-C.
pub(super) async fn events(args: EventsArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    tokio::select! {
        ended = follow(&args.types, client, out) => ended,
        () = signals.next() => Ok(exit::INTERRUPTED),
    }
}

/// Prints events and reconnects when the connection is lost. Only the first connection must succeed.
async fn follow(types: &[String], client: &Client, out: &Output) -> anyhow::Result<u8> {
    let mut events = client.events(types, None).await?;
    let mut names = Names { client, known: HashMap::new() };
    loop {
        match print_all(&mut events, &mut names, out).await {
            // The node stops; it may be started again.
            Ok(()) => {}
            Err(error) => match error.downcast::<ClientError>() {
                Ok(error) if error.is_retryable() => {}
                Ok(error) => return Err(error.into()),
                Err(error) => return Err(error),
            },
        }
        out.say("lost the connection to the node; trying to reconnect, Ctrl-C to stop");
        events = again(types, events.last_id(), client).await?;
        out.say("connected again");
    }
}

/// Prints the events of one connection until it ends.
async fn print_all(events: &mut Events, names: &mut Names<'_>, out: &Output) -> anyhow::Result<()> {
    while let Some(event) = events.next().await? {
        if out.json {
            out.value(&event)?;
        } else if out.quiet {
            if let Some(id) = event.task_id.as_ref().or(event.peer_id.as_ref()) {
                out.line(id)?;
            }
        } else {
            let name = match &event.peer_id {
                Some(peer) if out.stdout_tty => names.of(peer, &event.kind).await,
                _ => None,
            };
            out.line(line(&event, name.as_deref(), out.stdout_tty))?;
        }
    }
    Ok(())
}

/// Connects again, with as many attempts as necessary.
async fn again(
    types: &[String],
    last: Option<u64>,
    client: &Client,
) -> Result<Events, ClientError> {
    loop {
        tokio::time::sleep(limits::EVENTS_REST).await;
        match client.events(types, last).await {
            Ok(events) => return Ok(events),
            Err(ClientError::Unreachable { .. }) => {}
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error),
        }
    }
}

/// An event on one line: time, type, subject, details. Programs get tabs and full ids.
fn line(event: &EventView, name: Option<&str>, people: bool) -> String {
    let cells = [
        if people { event.at.format("%H:%M:%S%.3f").to_string() } else { format::time(event.at) },
        if people { format!("{:<17}", event.kind) } else { event.kind.to_string() },
        subject(event, name, people),
        rest(event, name, people),
    ];
    let cells = cells.map(|cell| format::printable(&cell));
    let text = cells.join(if people { "  " } else { "\t" });
    if people { text.trim_end().to_owned() } else { text }
}

/// The event's task if it has one, else its peer.
fn subject(event: &EventView, name: Option<&str>, people: bool) -> String {
    match (&event.task_id, &event.peer_id) {
        (Some(task), _) if people => short_task(task).to_owned(),
        (Some(task), _) => task.clone(),
        (None, Some(peer)) => peer_text(peer, name, people),
        (None, None) => String::new(),
    }
}

fn rest(event: &EventView, name: Option<&str>, people: bool) -> String {
    let mut parts: Vec<String> = event.handler.iter().cloned().collect();
    if let (Some(_), Some(peer)) = (&event.task_id, &event.peer_id) {
        parts.push(format!("on {}", peer_text(peer, name, people)));
    }
    if let Some(fraction) = event.fraction {
        parts.push(format!("{:.0}%", fraction * 100.0));
    }
    parts.extend(event.address.clone());
    parts.extend(event.addresses.iter().cloned());
    let message = event.message.as_deref().filter(|message| !message.is_empty());
    parts.extend(match (&event.code, message) {
        (Some(code), Some(message)) if code.as_str() != message => {
            Some(format!("{code}: {message}"))
        }
        (Some(code), _) => Some(code.to_string()),
        (None, message) => message.map(str::to_owned),
    });
    match event.missed {
        Some(missed) => parts.push(format!("{} events are missing here", format::count(missed))),
        None if event.kind == EventType::Gap => parts.push("events may be missing here".to_owned()),
        None => {}
    }
    parts.join(" ")
}

fn peer_text(peer: &str, name: Option<&str>, people: bool) -> String {
    if people { format::peer_label(name, peer) } else { peer.to_owned() }
}

/// The short form of a task's id: its last six digits.
fn short_task(id: &str) -> &str {
    id.get(id.len().saturating_sub(6)..).unwrap_or(id)
}

/// The names of peers, requested from the node when a peer occurs for the first time.
struct Names<'c> {
    client: &'c Client,
    /// `None`: the node did not know a name.
    known: HashMap<String, Option<String>>,
}

impl Names<'_> {
    async fn of(&mut self, peer: &str, kind: &EventType) -> Option<String> {
        // A peer sends its name before it is ready.
        if *kind == EventType::PeerReady || !self.known.contains_key(peer) {
            if self.known.len() >= limits::EVENTS_NAMES {
                self.known.clear();
            }
            let view = self.client.peer(peer).await.ok();
            self.known.insert(peer.to_owned(), view.and_then(|view| view.name));
        }
        self.known.get(peer).cloned().flatten()
    }
}
