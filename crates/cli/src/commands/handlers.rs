//! `handlers`.

use meshwork_api::{Client, HandlerView, OfferView, ParamView};

use crate::{
    exit,
    failure::Failure,
    output::{Output, Table, format},
};

pub(super) async fn handlers(
    wanted: Option<&str>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let known = client.handlers().await?;
    let Some(wanted) = wanted else {
        if out.json {
            out.value(&known)?;
        } else if out.quiet {
            for handler in &known.items {
                out.line(&handler.name)?;
            }
        } else {
            table(&known.items, out).print(out)?;
        }
        return Ok(exit::DONE);
    };
    let Some(handler) = known.items.iter().find(|handler| handler.name == wanted) else {
        let message = format!("neither this node nor a peer offers {wanted:?}");
        return Err(Failure::new(exit::NOT_FOUND, "not_found", message)
            .with_hint("list the handlers: meshwork handlers")
            .into());
    };
    if out.json {
        out.value(handler)?;
    } else if out.quiet {
        out.line(&handler.name)?;
    } else {
        out.data(details(handler).as_bytes())?;
    }
    Ok(exit::DONE)
}

fn table(handlers: &[HandlerView], out: &Output) -> Table {
    let mut table = Table::new(&["HANDLER", "OFFERED BY", "PARAMETERS", "WHAT IT DOES"]);
    for handler in handlers {
        let params: Vec<&str> = handler.params.iter().map(|param| param.name.as_str()).collect();
        table.row([
            handler.name.clone(),
            offers(handler, out.stdout_tty),
            params.join(" "),
            handler.summary.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// The nodes that offer a handler: names for people, full ids for programs.
fn offers(handler: &HandlerView, people: bool) -> String {
    let shown = if people { SHOWN } else { handler.offers.len() };
    let mut offers: Vec<String> = handler
        .offers
        .iter()
        .take(shown)
        .map(|offer| if people { short_label(offer) } else { offer.peer_id.clone() })
        .collect();
    let named = u64::try_from(offers.len()).unwrap_or(u64::MAX);
    if handler.offer_count > named {
        offers.push(format!("{} more", format::count(handler.offer_count - named)));
    }
    offers.join(", ")
}

/// Number of offers that fit on a line.
const SHOWN: usize = 4;

fn short_label(offer: &OfferView) -> String {
    if offer.here {
        return "this node".to_owned();
    }
    let label = format::peer_label(offer.name.as_deref(), &offer.peer_id);
    match (offer.ready, offer.trusted) {
        (true, true) => label,
        (true, false) => format!("{label} (not trusted)"),
        (false, _) => format!("{label} (not ready)"),
    }
}

/// Everything known about one handler, as text.
fn details(handler: &HandlerView) -> String {
    let mut text = format!("{}\n", format::printable(&handler.name));
    if let Some(summary) = &handler.summary {
        text.push_str(&format!("{}\n", format::printable(summary)));
    }
    if handler.needs_input {
        text.push_str("  INPUT  required: a text, @PATH or -\n");
    }
    for param in &handler.params {
        text.push_str(&format!("  --param {}\n", parameter(param)));
    }
    for offer in &handler.offers {
        let who = format::peer_label(offer.name.as_deref(), &offer.peer_id);
        let state = match (offer.here, offer.ready, offer.trusted) {
            (true, ..) => "this node",
            (false, true, true) => "ready, trusted",
            (false, true, false) => "ready, not trusted",
            (false, false, true) => "not ready, trusted",
            (false, false, false) => "not ready, not trusted",
        };
        text.push_str(&format!("  offered by  {who}  {}  {state}\n", offer.peer_id));
    }
    let named = u64::try_from(handler.offers.len()).unwrap_or(u64::MAX);
    if handler.offer_count > named {
        let more = format::count(handler.offer_count - named);
        text.push_str(&format!("  and by {more} more\n"));
    }
    text
}

fn parameter(param: &ParamView) -> String {
    let need = match (&param.default, param.required) {
        (Some(default), _) => format!("default {}", format::printable(default)),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    format!(
        "{}={}  {need}  {}",
        format::printable(&param.name),
        format::printable(&param.kind),
        format::printable(&param.doc),
    )
}

#[cfg(test)]
mod tests;
