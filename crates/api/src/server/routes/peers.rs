//! `/v1/peers`.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use meshwork_core::{Multiaddr, PeerInfo};

use super::Context;
use crate::{
    server::{body::JsonBody, select},
    types::{DialAnswer, DialRequest, List, PeerPatch, PeerView, Problem, TrustAnswer},
};

pub(super) async fn list(State(cx): State<Context>) -> Result<Json<List<PeerView>>, Problem> {
    let peers = cx.manager.get_peers().await?;
    let items: Vec<PeerView> = peers.into_iter().map(PeerView::from).collect();
    Ok(Json(items.into()))
}

pub(super) async fn show(
    State(cx): State<Context>,
    Path(text): Path<String>,
) -> Result<Json<PeerView>, Problem> {
    let peer = select::peer(&cx.manager, &text).await?;
    let known = cx.manager.get_peers().await?;
    let info: Option<PeerInfo> = known.into_iter().find(|info| info.peer_id == peer);
    info.map(|info| Json(info.into())).ok_or_else(|| {
        let detail = format!("no peer {peer} is known");
        Problem::new(StatusCode::NOT_FOUND, "peer_not_found", detail)
            .with_hint("see which peers there are: meshwork peers")
    })
}

pub(super) async fn dial(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<DialRequest>,
) -> Result<Json<DialAnswer>, Problem> {
    let address: Multiaddr = request.address.parse().map_err(|error| {
        Problem::bad_request(format!("{:?} is not an address: {error}", request.address))
            .with_hint("write it like /ip4/192.168.1.7/tcp/4101")
    })?;
    let peer = cx.manager.dial(address).await?;
    Ok(Json(DialAnswer { peer_id: peer.to_string() }))
}

pub(super) async fn change(
    State(cx): State<Context>,
    Path(text): Path<String>,
    JsonBody(PeerPatch { trust }): JsonBody<PeerPatch>,
) -> Result<Json<TrustAnswer>, Problem> {
    let peer = select::peer(&cx.manager, &text).await?;
    cx.manager.trust(peer, trust).await?;
    let known = cx.manager.get_peers().await?;
    let name = known
        .into_iter()
        .find(|info| info.peer_id == peer)
        .and_then(|info| info.advert)
        .map(|advert| advert.name);
    Ok(Json(TrustAnswer { peer_id: peer.to_string(), name, trusted: trust }))
}
