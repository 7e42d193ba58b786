//! `/v1/events`: server-sent events.

use std::convert::Infallible;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Context;
use crate::{
    limits,
    server::{
        body::Params,
        error,
        events::{Filter, Reader},
    },
    types::{ErrorCode, EventView, Problem},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParams {
    /// Types and starts of types, separated by commas; empty for all.
    #[serde(default)]
    types: String,
}

/// Streams events from now on, or those after the event in `Last-Event-ID`.
pub(super) async fn stream(
    State(cx): State<Context>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::parse(&params.types)?;
    let after = last_event(&headers)?;
    let permit = cx.subscribers.clone().try_acquire_owned().map_err(|_| {
        let detail =
            format!("{} readers of events are already connected", limits::EVENT_SUBSCRIBERS);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, detail)
            .with_hint("use one reader for all types of events")
            .retry_after(limits::EVENT_REST)
    })?;
    let reader = cx.events.join(after).await.ok_or_else(error::stopped)?;
    // Without data this is not an event: it shows that the stream has begun, and sets the id from
    // which to continue if the connection breaks.
    let start = Event::default().id(reader.last().to_string());
    let events = stream::once(async { Ok::<_, Infallible>(start) })
        .chain(read(reader, filter, permit))
        .take_until(cx.stop.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(limits::EVENT_KEEP_ALIVE)))
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(last) = headers.get("last-event-id") else { return Ok(None) };
    let id = last.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| {
        Problem::bad_request("Last-Event-ID: not the id of an event")
            .with_hint("omit it to read from now on")
    })
}

/// The events that the reader wants, until the server stops. The permit is held as long.
fn read(
    reader: Reader,
    filter: Filter,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let pages = stream::unfold((reader, permit), |(mut reader, permit)| async move {
        let page = reader.next().await?;
        Some((page, (reader, permit)))
    });
    pages.flat_map(move |page| {
        let wanted = page.iter().filter(|event| filter.wants(&event.kind));
        let mut sent: Vec<_> = wanted.filter_map(|event| written(event)).map(Ok).collect();
        if let Some(last) = page.last().filter(|last| !filter.wants(&last.kind)) {
            // Not selected, but not missing either: the reader continues after this id.
            sent.push(Ok(Event::default().id(last.id.to_string())));
        }
        stream::iter(sent)
    })
}

/// The event as text. Its numbers and strings always serialize; `None` would leave it out.
fn written(event: &EventView) -> Option<Event> {
    Event::default().id(event.id.to_string()).event(event.kind.as_str()).json_data(event).ok()
}
