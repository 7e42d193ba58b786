//! `/v1/peers`.

use axum::{Json, extract::State, http::StatusCode};
use meshwork_core::{PeerId, PeerInfo, PeerQuery, address::parse_address};
use meshwork_node::NetworkError;
use serde::Deserialize;

use super::Context;
use crate::{
    limits,
    server::{
        body::{JsonBody, Named, Params},
        page, select,
    },
    types::{
        DialAnswer, DialRequest, ErrorCode, FindRequest, List, PeerPatch, PeerPath, PeerState,
        PeerView, PingAnswer, Problem, TrustAnswer, micros, separated,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Peers in one of these states; empty for all.
    #[serde(rename = "state", default, deserialize_with = "separated")]
    states: Vec<PeerState>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(cx): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<List<PeerView>>, Problem> {
    let states = params.states;
    select::states(&states, PeerState::WORDS, "a peer")?;
    let limit = page::limit(params.limit, limits::PEERS)?;
    let after: Option<PeerId> = page::position(params.cursor.as_deref())?;
    let mut peers = cx.manager.get_peers().await?;
    peers.sort_unstable_by_key(|info| info.peer_id);
    let peers = peers.into_iter().filter(|info| after.is_none_or(|after| info.peer_id > after));
    let is_wanted = |peer: &PeerView| states.is_empty() || states.contains(&peer.state);
    let items = peers.map(PeerView::from).filter(is_wanted).take(limit + 1).collect();
    Ok(Json(page::cut(items, limit, |peer| peer.peer_id.clone())))
}

pub(super) async fn show(
    State(cx): State<Context>,
    Named(text): Named,
) -> Result<Json<PeerView>, Problem> {
    let peer = another(&cx, &text)?;
    let peers = cx.manager.get_peers().await?;
    let info: Option<PeerInfo> = peers.into_iter().find(|info| info.peer_id == peer);
    info.map(|info| Json(info.into())).ok_or_else(|| {
        let detail = format!("unknown peer {peer}");
        Problem::new(StatusCode::NOT_FOUND, ErrorCode::PeerNotFound, detail)
            .with_hint("see which peers there are: meshwork peers")
    })
}

pub(super) async fn dial(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<DialRequest>,
) -> Result<Json<DialAnswer>, Problem> {
    let address = parse_address(&request.address).map_err(Problem::bad_request)?;
    let peer = cx.manager.dial(address).await?;
    Ok(Json(DialAnswer { peer_id: peer.to_string() }))
}

/// Takes as long as the slowest peer that is asked, at most the node's `protocol_timeout`.
pub(super) async fn find(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<FindRequest>,
) -> Result<Json<List<PeerView>>, Problem> {
    let _waits = cx.poll()?;
    let FindRequest { handler, capability, labels, limit } = request;
    let handler = match handler.as_deref().map(str::parse).transpose() {
        Ok(handler) => handler,
        Err(error) => {
            return Err(Problem::bad_request(format!("handler: {error}"))
                .with_hint("use a name such as text/word-count; see: meshwork handlers"));
        }
    };
    let query = PeerQuery { handler, capability, labels, ..PeerQuery::default() };
    let query = PeerQuery { limit: limit.unwrap_or(query.limit), ..query };
    let found = cx.manager.discovery_protocol().find_peers(query).await?;
    let items: Vec<PeerView> = found.into_iter().map(PeerView::from).collect();
    Ok(Json(items.into()))
}

pub(super) async fn ping(
    State(cx): State<Context>,
    Named(text): Named,
) -> Result<Json<PingAnswer>, Problem> {
    let _acts = cx.act()?;
    let peer = another(&cx, &text)?;
    let pong = cx.manager.ping(peer).await?;
    Ok(Json(PingAnswer {
        peer_id: pong.peer.to_string(),
        name: name_of(&cx, pong.peer)?,
        round_trip_us: micros(pong.round_trip),
        // Pings use the existing connection, and there are no relays yet.
        path: PeerPath::Direct,
        transport: pong.transport.into(),
        address: pong.address.to_string(),
    }))
}

pub(super) async fn change(
    State(cx): State<Context>,
    Named(text): Named,
    JsonBody(patch): JsonBody<PeerPatch>,
) -> Result<Json<TrustAnswer>, Problem> {
    if patch == PeerPatch::default() {
        return Err(Problem::bad_request("no change requested")
            .with_hint("set at least one of: trust, block, name"));
    }
    let PeerPatch { trust, block, name } = patch;
    let peer = another(&cx, &text)?;
    if let Some(name) = name {
        cx.manager.name_peer(peer, &name).await?;
    }
    if let Some(block) = block {
        cx.manager.block(peer, block).await?;
    }
    if let Some(trust) = trust {
        cx.manager.trust(peer, trust).await.map_err(|error| {
            let problem = Problem::from(error);
            if problem.code != ErrorCode::Denied {
                return problem;
            }
            problem
                .with_hint(format!("meshwork peers unblock {peer}, or untrust another peer first"))
        })?;
    }
    decided(&cx, peer)
}

pub(super) async fn forget(
    State(cx): State<Context>,
    Named(text): Named,
) -> Result<Json<TrustAnswer>, Problem> {
    let peer = another(&cx, &text)?;
    cx.manager.forget_peer(peer).await?;
    decided(&cx, peer)
}

pub(super) async fn disconnect(
    State(cx): State<Context>,
    Named(text): Named,
) -> Result<Json<TrustAnswer>, Problem> {
    let peer = another(&cx, &text)?;
    cx.manager.disconnect(peer).await?;
    decided(&cx, peer)
}

/// The user's current decisions about a peer, and their effect.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn decided(cx: &Context, peer: PeerId) -> Result<Json<TrustAnswer>, Problem> {
    let peers = cx.manager.known_peers()?;
    let view = peers.into_iter().find(|info| info.peer_id == peer).map(PeerView::from);
    let policy = cx.manager.accepts();
    let trusted = view.as_ref().is_some_and(|view| view.trusted);
    let accepted = policy.iter().filter(|(family, _)| policy.allows(family, trusted));
    let is_connected = |view: &&PeerView| view.state == PeerState::Ready;
    Ok(Json(TrustAnswer {
        peer_id: peer.to_string(),
        name: view.as_ref().and_then(|view| view.name.clone()),
        trusted,
        blocked: view.as_ref().is_some_and(|view| view.blocked),
        accepts: accepted.map(|(family, _)| family.to_owned()).collect(),
        offers: view.as_ref().filter(is_connected).map(PeerView::families),
    }))
}

/// The peer that `text` names, if it is not this node itself.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn another(cx: &Context, text: &str) -> Result<PeerId, Problem> {
    let peer = select::peer(&cx.manager, text)?;
    if peer == cx.manager.local_peer_id() {
        return Err(Problem::bad_request(format!("{text:?} is this node itself"))
            .with_hint("see its status: meshwork status"));
    }
    Ok(peer)
}

/// The name of a known peer.
fn name_of(cx: &Context, peer: PeerId) -> Result<Option<String>, NetworkError> {
    let peers = cx.manager.known_peers()?;
    let info = peers.into_iter().find(|info| info.peer_id == peer);
    Ok(info.and_then(|info| info.name().map(str::to_owned)))
}
