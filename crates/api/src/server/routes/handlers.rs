//! `/v1/handlers`.

use std::{cmp::Reverse, collections::BTreeMap};

use axum::{Json, extract::State};
use meshwork_core::{PeerInfo, PeerState};
use meshwork_node::Description;
use serde::Deserialize;

use super::Context;
use crate::{
    limits,
    server::{body::Params, page},
    types::{HandlerView, List, OfferView, ParamView, Problem},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Every handler of this node and of known peers, by name. Peers report only handlers that they
/// offer to this node.
pub(super) async fn list(
    State(cx): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<List<HandlerView>>, Problem> {
    let limit = page::limit(params.limit, limits::HANDLERS)?;
    let mut handlers = Offered { after: params.cursor, most: limit + 1, by_name: BTreeMap::new() };
    let own_offer = OfferView {
        peer_id: cx.manager.local_peer_id().to_string(),
        name: Some(cx.manager.name().to_owned()),
        here: true,
        ready: true,
        trusted: true,
    };
    for name in cx.manager.handlers() {
        handlers.add(name.as_str(), own_offer.clone());
    }
    let mut peers = cx.manager.known_peers()?;
    peers.sort_by_key(|info| (Reverse((is_ready(info), info.trusted)), info.peer_id));
    for info in peers {
        let (ready, trusted) = (is_ready(&info), info.trusted);
        let name = info.name().map(str::to_owned);
        let Some(advert) = info.advert else { continue };
        let offer =
            OfferView { peer_id: info.peer_id.to_string(), name, here: false, ready, trusted };
        for name in &advert.handlers {
            handlers.add(name.as_str(), offer.clone());
        }
    }
    for (name, description) in cx.manager.descriptions() {
        if let Some(handler) = handlers.by_name.get_mut(name.as_str()) {
            describe(handler, description);
        }
    }
    let items = handlers.by_name.into_values().collect();
    Ok(Json(page::cut(items, limit, |handler: &HandlerView| handler.name.clone())))
}

/// Adds the description of a handler of this node.
fn describe(handler: &mut HandlerView, description: &Description) {
    let summary = description.summary.trim();
    handler.summary = (!summary.is_empty()).then(|| summary.to_owned());
    let params = description.params.iter().map(|param| ParamView {
        name: param.name.to_string(),
        kind: param.kind.to_string(),
        required: param.required,
        default: param.default.as_ref().map(ToString::to_string),
        doc: param.doc.to_string(),
    });
    handler.params = params.collect();
    handler.needs_input = description.needs_input;
}

/// The first handlers after a name. Peers can make up any number of names, so only one page of them
/// is held at once.
struct Offered {
    after: Option<String>,
    most: usize,
    by_name: BTreeMap<String, HandlerView>,
}

impl Offered {
    /// Counts an offer. The first [`limits::OFFERS`] of a handler are listed; untrusted peers are
    /// added last.
    fn add(&mut self, name: &str, by: OfferView) {
        if self.after.as_deref().is_some_and(|after| name <= after) {
            return;
        }
        let handler = self.by_name.entry(name.to_owned()).or_insert_with_key(|name| HandlerView {
            name: name.clone(),
            summary: None,
            params: Vec::new(),
            needs_input: false,
            offers: Vec::new(),
            offer_count: 0,
        });
        handler.offer_count += 1;
        if handler.offers.len() < limits::OFFERS {
            handler.offers.push(by);
        }
        if self.by_name.len() > self.most {
            self.by_name.pop_last();
        }
    }
}

fn is_ready(info: &PeerInfo) -> bool {
    matches!(info.state, PeerState::Ready)
}
