//! The local HTTP API of a node: server, typed client, and the one set of types that both share
//! with `meshwork --json`.
//!
//! ```text
//!  meshwork CLI ── Client ──► Unix socket (0600) ──► Server ──► routes ──► NetworkManager
//! ```
//!
//! Requests and answers are JSON; the result of a task is its bytes. Errors are
//! [`Problem`]s (`application/problem+json`, RFC 9457) with the same codes as in the library and
//! on the wire. Times are RFC 3339 in UTC, durations milliseconds in fields that end in `_ms`
//! (with a fraction where they are measured), sizes bytes. A peer is named by its id in `peer`, or by its
//! part in `worker`. Fields and words are only ever added; a reader keeps a word that it does not know
//! as it came (`Other` in every enum of [`types`]).
//!
//! | route | does |
//! |---|---|
//! | `GET /v1/node` | the node, as [`NodeView`] |
//! | `GET /v1/health` | [`HealthView`] |
//! | `GET /v1/peers`, `GET /v1/peers/{p}` | [`List`] of [`PeerView`], `?state=`; one of them |
//! | `PATCH /v1/peers/{p}` | [`PeerPatch`]: trust, block or name it, or take that back; a [`TrustAnswer`] |
//! | `DELETE /v1/peers/{p}` | forget it: name, trust, where it was met |
//! | `POST /v1/peers/{p}/disconnect` | close the connection with it |
//! | `POST /v1/peers/{p}/ping` | [`PingAnswer`]: one echo of a connected peer |
//! | `POST /v1/peers/dial` | [`DialRequest`]: connect to an address |
//! | `POST /v1/peers/find` | [`FindRequest`]: ask the network for peers, answered with a [`List`] of [`PeerView`] |
//! | `GET /v1/handlers` | [`List`] of [`HandlerView`]: what can be run, and who offers it |
//! | `POST /v1/tasks` | [`TaskSpec`]: submit; `?wait_ms=` waits for the end that long |
//! | `GET /v1/tasks` | [`List`] of [`TaskView`]; `?state=&handler=&group=&limit=` |
//! | `GET /v1/tasks/summary` | [`TaskCounts`] |
//! | `GET /v1/tasks/{t}`, also as `…/explain` | one task: why it waits, or how it came to its end; `?wait_ms=` waits for the end that long |
//! | `GET /v1/tasks/{t}/result` | the bytes of its result |
//! | `POST /v1/tasks/{t}/cancel` | [`CancelRequest`] |
//! | `POST /v1/tasks/{t}/retry` | submit one like it, which did not succeed, anew |
//! | `POST /v1/tasks:batch` | [`BatchSpec`]: submit members of a group; a [`GroupView`] |
//! | `GET /v1/groups` | [`List`] of [`GroupView`], the newest first; `?state=&limit=&cursor=` |
//! | `GET /v1/groups/{g}` | [`GroupView`]; `?wait_ms=` waits for the end that long |
//! | `GET /v1/groups/{g}/results` | [`List`] of [`MemberResult`] in order; `?from=&limit=` |
//! | `GET /v1/groups/{g}/explain` | [`GroupStory`]: why its members wait, what failed first |
//! | `POST /v1/groups/{g}/cancel` | [`CancelRequest`]: it takes no more, and ends |
//! | `POST /v1/groups/{g}/retry` | [`RetryAnswer`]: submit anew what did not succeed |
//! | `POST /v1/tasks/wait` | [`WaitRequest`]: wait for the end of many |
//! | `GET /v1/events` | what happens, as server-sent events with an [`EventView`] each |
//! | `GET /metrics` | the process's figures as Prometheus text, if it keeps any |
//! | `PATCH /v1/accept` | [`AcceptPatch`]: whose work runs here; an [`AcceptAnswer`] |
//! | `POST /v1/drain` | [`DrainRequest`]: take no work, or take it again |
//! | `POST /v1/shutdown` | [`StopRequest`]: stop the node |
//!
//! `/v1/events` takes `?types=` (types of [`EventType`] and starts such as `task.`, separated by
//! commas) and goes on after the event that the header `Last-Event-ID` names. The latest
//! [`limits::EVENTS`] are kept; where some are missing there is an event `gap`.
//!
//! `{p}` is a peer id, a name, or the unique start of a name; `{t}` is `last`, a task id, or the
//! unique end of one, and `{g}` the same of a group.
//!
//! Each kind of request has a rate ([`limits::READS`], [`limits::WRITES`], [`limits::WAITS`]); above
//! it the answer is 429 with the code `busy` and when to come back.
//!
//! Codes of [`Problem`]s, each with the status that it comes with:
//!
//! | code | status | means |
//! |---|---|---|
//! | `bad_request` | 400 | the request cannot be understood |
//! | `invalid_task`, `invalid_message`, `unknown_family` | 400 | a field is out of its range |
//! | `connection` | 400, 502 | the address is none, or the peer cannot be reached |
//! | `not_admitted`, `wrong_network`, `not_accepted`, `denied` | 403 | a peer, or the policy here, does not allow it |
//! | `peers_full` | 403 | the peer has as many peers as it takes |
//! | `not_found`, `peer_not_found`, `no_such_route` | 404 | there is none |
//! | `is_task` | 404 | a task has this id, and no group |
//! | `method_not_allowed` | 405 | the route takes other methods |
//! | `timeout` | 408, 504 | the request, or the peer's answer, did not come in time |
//! | `conflict` | 409 | it names something else already |
//! | `ambiguous`, `is_group` | 409 | several have this name; it is that of a group |
//! | `not_ended`, `no_result`, `no_retry` | 409 | the task is in another state |
//! | `group_stopped`, `group_cancelled` | 409 | the group takes no more members |
//! | `forgotten` | 410 | it ended, and is not kept any longer |
//! | `too_large` | 413 | above a limit in bytes |
//! | `unknown_handler` | 422 | no handler has this name |
//! | `unsupported`, `incompatible_version` | 501 | the peer does not know it |
//! | `busy` | 429, 503 | too much at once; `retry_after_ms` says when to come back |
//! | `queue_full`, `recovering`, `shutting_down` | 503 | the node takes no task now |
//! | `disk_full` | 507 | what must be kept cannot be |
//! | `damaged` | 500 | the record on disk cannot be read |
//! | `transport`, `bad_config`, `internal` | 500, 503 | the node itself has failed, or has stopped |
//! | `protocol` | 502 | a peer's answer makes no sense |
//!
//! Absent on purpose: TCP (the socket's rights are the only key), a dashboard.

pub mod client;
pub mod limits;
pub mod server;
pub mod socket;
pub mod types;

pub use self::{
    client::{Client, ClientError, Events},
    server::Server,
    socket::BindError,
    types::{
        AcceptAnswer, AcceptPatch, AcceptRule, AttemptView, BackupRequest, BatchMembers, BatchSpec,
        CancelRequest, CancelledBy, CapacityView, ConnectionCounts, DialAnswer, DialRequest,
        DrainAnswer, DrainRequest, Durability, EndedTask, ErrorCode, ErrorView, EventType,
        EventView, ExpiredLimit, FindRequest, GroupQuery, GroupState, GroupStory, GroupView,
        HandlerView, HealthState, HealthView, KeyCopySign, KeyCopyView, List, MemberResult,
        MemberSpec, MemberState, NodeState, NodeView, ObstacleCode, ObstacleView, OfferView,
        ParamView, Payload, PeerPatch, PeerPath, PeerState, PeerView, PingAnswer, Problem,
        ProgressView, RangeSpec, RetryAnswer, StopAnswer, StopRequest, TaskCounts, TaskQuery,
        TaskSpec, TaskState, TaskView, Transport, TrustAnswer, WaitAnswer, WaitCode, WaitRequest,
        WaitingMembers, WaitingView, WaitsView,
    },
};
