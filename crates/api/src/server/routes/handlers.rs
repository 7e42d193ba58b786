//! `/v1/handlers`.

use std::{cmp::Reverse, collections::BTreeMap};

use axum::{Json, extract::State};
use meshwork_core::{PeerInfo, PeerState};

use meshwork_node::Description;

use super::Context;
use crate::{
    limits,
    types::{HandlerView, List, OfferView, ParamView, Problem},
};

/// Every handler that can run here or on known peers. Peers tell of the handlers that they offer
/// to this node, and of no others.
pub(super) async fn list(State(cx): State<Context>) -> Result<Json<List<HandlerView>>, Problem> {
    let mut handlers: BTreeMap<String, HandlerView> = BTreeMap::new();
    let status = cx.manager.status().await?;
    let here = OfferView {
        peer_id: status.peer_id.to_string(),
        name: Some(status.advert.name),
        here: true,
        ready: true,
        trusted: true,
    };
    for name in cx.manager.handlers() {
        offered(&mut handlers, name.to_string(), here.clone());
    }
    let mut peers = cx.manager.get_peers().await?;
    peers.sort_by_key(|info| (Reverse((is_ready(info), info.trusted)), info.peer_id));
    for info in peers {
        let (ready, trusted) = (is_ready(&info), info.trusted);
        let Some(advert) = info.advert else { continue };
        let offer = OfferView {
            peer_id: info.peer_id.to_string(),
            name: (!advert.name.is_empty()).then_some(advert.name),
            here: false,
            ready,
            trusted,
        };
        for name in &advert.handlers {
            offered(&mut handlers, name.to_string(), offer.clone());
        }
    }
    for (name, description) in cx.manager.descriptions() {
        if let Some(handler) = handlers.get_mut(name.as_str()) {
            describe(handler, description);
        }
    }
    Ok(Json(handlers.into_values().collect::<Vec<_>>().into()))
}

/// What a handler of this node says of itself.
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
}

/// Peers are asked for in the order of their worth, so that what strangers make up comes last and
/// is what is left out.
fn offered(handlers: &mut BTreeMap<String, HandlerView>, name: String, by: OfferView) {
    if handlers.len() >= limits::HANDLERS && !handlers.contains_key(&name) {
        return;
    }
    let handler = handlers.entry(name).or_insert_with_key(|name| HandlerView {
        name: name.clone(),
        summary: None,
        params: Vec::new(),
        offers: Vec::new(),
        offer_count: 0,
    });
    handler.offer_count += 1;
    if handler.offers.len() < limits::OFFERS {
        handler.offers.push(by);
    }
}

fn is_ready(info: &PeerInfo) -> bool {
    matches!(info.state, PeerState::Ready)
}
