//! The local HTTP API of a node: server, typed client, and the types that both share with
//! `meshwork --json`.
//!
//! ```text
//!  meshwork CLI ── Client ──► Unix socket (0600) ──► Server ──► routes ──► NetworkManager
//! ```
//!
//! Requests and answers are JSON, except results of tasks, blobs and pieces of uploads, which are
//! sent as bytes. Errors are
//! [`Problem`]s (`application/problem+json`, RFC 9457) with the same codes as in the library and on
//! the wire. Times are RFC 3339 in UTC. Durations are milliseconds in fields that end in `_ms`,
//! with a fraction where they are measured. Sizes are bytes. A peer's id is in the field `peer`,
//! or in one that names the peer's role, such as `worker`. Later versions only add fields and
//! words; a reader keeps words that it does not know (`Other` in every enum of [`types`]).
//!
//! | route | does |
//! |---|---|
//! | `GET /v1/node` | show the node: a [`NodeView`] |
//! | `GET /v1/health` | show the node's health: a [`HealthView`] |
//! | `GET /v1/peers`, `GET /v1/peers/{p}` | list peers, a [`List`] of [`PeerView`], `?state=`; show one |
//! | `PATCH /v1/peers/{p}` | [`PeerPatch`]: trust, block or name a peer, or undo it; a [`TrustAnswer`] |
//! | `DELETE /v1/peers/{p}` | forget a peer: its name, its trust, its addresses |
//! | `POST /v1/peers/{p}/disconnect` | close the connection to a peer |
//! | `POST /v1/peers/{p}/ping` | ping a connected peer: a [`PingAnswer`] |
//! | `POST /v1/peers/dial` | [`DialRequest`]: connect to an address |
//! | `POST /v1/peers/find` | [`FindRequest`]: ask the network for peers, answered with a [`List`] of [`PeerView`] |
//! | `GET /v1/handlers` | list handlers and the nodes that offer them: a [`List`] of [`HandlerView`] |
//! | `POST /v1/blobs` | the body becomes a blob: a [`StoredBlob`]; `?content=file\|part\|folder&hash=` |
//! | `GET /v1/blobs/{h}` | the bytes of a blob, with `Range`, `ETag` and `If-None-Match`; also `HEAD` |
//! | `GET /v1/blobs` | list blobs: a [`List`] of [`BlobView`]; `?prefix=` (of the hash) `&limit=&cursor=` |
//! | `POST /v1/blobs/{h}/pin` | [`PinRequest`]: pin a blob, or no longer; a [`BlobView`] |
//! | `DELETE /v1/blobs/{h}` | remove a blob that nothing needs; a [`FreedAnswer`] |
//! | `POST /v1/blobs/gc` | remove all blobs that nothing needs, except for new ones; a [`FreedAnswer`] |
//! | `POST /v1/uploads` | [`UploadRequest`]: begin a blob that arrives in several requests; an [`UploadView`] |
//! | `PATCH /v1/uploads/{u}?offset=` | the next piece of an upload; an [`UploadView`] |
//! | `GET /v1/uploads/{u}` | the offset to go on from: an [`UploadView`] |
//! | `POST /v1/uploads/{u}/finish` | end an upload: a [`StoredBlob`] |
//! | `DELETE /v1/uploads/{u}` | give up an upload |
//! | `POST /v1/tasks` | [`TaskSpec`]: submit a task; `?wait_ms=` waits at most this long for its end, `?dry_run=true` only checks whether the task would be accepted, apart from its input |
//! | `GET /v1/tasks` | list tasks: a [`List`] of [`TaskView`]; `?state=&handler=&group=&limit=` |
//! | `GET /v1/tasks/summary` | count tasks: [`TaskCounts`] |
//! | `GET /v1/tasks/{t}`, also as `…/explain` | show a task: why it waits, or how it ended; `?wait_ms=` waits at most this long for its end |
//! | `GET /v1/tasks/{t}/result` | the bytes of a task's result, with `Range` if it is a file; `is_folder` if it is a folder |
//! | `POST /v1/tasks/{t}/cancel` | [`CancelRequest`]: cancel a task |
//! | `POST /v1/tasks/{t}/retry` | submit an unsuccessful task again, under a new id |
//! | `POST /v1/tasks:batch` | [`BatchSpec`]: submit members of a group; a [`GroupView`] |
//! | `GET /v1/groups` | list groups, the newest first: a [`List`] of [`GroupView`]; `?state=&limit=&cursor=` |
//! | `GET /v1/groups/{g}` | show a group: a [`GroupView`]; `?wait_ms=` waits at most this long for its end |
//! | `GET /v1/groups/{g}/results` | results of the members in order: a [`List`] of [`MemberResult`]; `?from=&limit=` |
//! | `GET /v1/groups/{g}/explain` | [`GroupStory`]: why members wait, which failed first |
//! | `POST /v1/groups/{g}/cancel` | [`CancelRequest`]: cancel a group, which then accepts no more members |
//! | `POST /v1/groups/{g}/retry` | [`RetryAnswer`]: submit the unsuccessful members again, as a new group |
//! | `POST /v1/tasks/wait` | [`WaitRequest`]: wait for the end of several tasks |
//! | `GET /v1/events` | the node's events, as server-sent events with one [`EventView`] each |
//! | `GET /metrics` | the metrics of the process as Prometheus text, if it records any |
//! | `PATCH /v1/accept` | [`AcceptPatch`]: set whose tasks run here; an [`AcceptAnswer`] |
//! | `POST /v1/drain` | [`DrainRequest`]: accept no new attempts, or accept them again |
//! | `POST /v1/shutdown` | [`StopRequest`]: stop the node |
//!
//! `/v1/events` takes `?types=` (types of [`EventType`], or starts such as `task.`, separated by
//! commas) and continues after the event that the header `Last-Event-ID` names. The node keeps the
//! latest [`limits::EVENTS`] events; it sends an event `gap` in place of missing ones.
//!
//! `{p}` is a peer id, a name, or the unique start of a name. `{t}` is `last`, a task id, or the
//! unique end of one; `{g}` is the same for a group.
//!
//! Blobs are files and folders, known by the BLAKE3 hashes of their bytes. They stream: no limit of
//! a body holds for them, but each piece has its own time limit, and [`limits::UPLOADS`] arrive and
//! [`limits::DOWNLOADS`] leave at the same time. A `Content-Length`, or the size of an upload, is
//! reserved before the first byte, so that a refusal comes before it too; another number of bytes
//! than announced is refused and freed. After a cut a client asks
//! for the upload and goes on from its offset; the upload waits for [`limits::UPLOAD_REST`]. A piece
//! with another offset is a `conflict`. A folder is a *root* (`content=folder`) that names *parts*
//! (`content=part`), which name the larger files; what a blob names must be there before it. Routes
//! open no path: [`Blobs`] reads and writes the files of the caller.
//!
//! Each kind of request has a rate ([`limits::READS`], [`limits::WRITES`], [`limits::WAITS`]).
//! Above it the answer is 429 with the code `busy` and the time after which to retry.
//!
//! Codes of [`Problem`]s, and the statuses that they come with:
//!
//! | code | status | means |
//! |---|---|---|
//! | `bad_request` | 400 | the request is malformed |
//! | `invalid_task`, `invalid_message`, `unknown_family` | 400 | a field is out of range |
//! | `connection` | 400, 502 | the address is invalid, or the peer cannot be reached |
//! | `not_admitted`, `wrong_network`, `not_accepted`, `denied` | 403 | a peer, or this node's policy, does not allow it |
//! | `peers_full` | 403 | the peer has its maximum number of peers |
//! | `not_found`, `peer_not_found`, `no_such_route` | 404 | the task, group, peer or route does not exist |
//! | `is_task` | 404 | the id belongs to a task, not to a group |
//! | `method_not_allowed` | 405 | the route does not support the method |
//! | `timeout` | 408, 504 | the request, or the peer's answer, did not arrive in time |
//! | `conflict` | 409 | the id or key already belongs to something else |
//! | `ambiguous`, `is_group` | 409 | the name matches several; the id belongs to a group |
//! | `blob_missing` | 404 | the store does not have the blob |
//! | `blob_in_use` | 409 | tasks, results or folders need the blob |
//! | `is_folder` | 409 | the result is a folder, which has no bytes of its own |
//! | `bad_range` | 416 | no byte of the blob is in the range |
//! | `bad_folder`, `folder_too_large` | 422 | the bytes are no list of a folder |
//! | `other_hash`, `other_size` | 422 | the bytes have another hash, or are more or fewer, than announced |
//! | `not_ended`, `no_result`, `no_retry` | 409 | the task's state does not allow it |
//! | `group_stopped`, `group_cancelled` | 409 | the group accepts no more members |
//! | `forgotten` | 410 | it ended and is no longer kept |
//! | `too_large` | 413 | the request exceeds a limit in bytes |
//! | `unknown_handler` | 422 | no handler has this name |
//! | `unsupported`, `incompatible_version` | 501 | the peer does not support it |
//! | `busy` | 429, 503 | too many requests; retry after `retry_after_ms` |
//! | `queue_full`, `recovering`, `shutting_down` | 503 | the node accepts no tasks now |
//! | `disk_full`, `no_space` | 507 | no space for the task or its files; retry after `retry_after_ms` |
//! | `damaged` | 500 | the task's record on disk cannot be read |
//! | `transport`, `bad_config`, `internal` | 500, 503 | the node failed, or has stopped |
//! | `protocol` | 502 | a peer's answer is invalid |
//!
//! Absent on purpose: TCP (the socket's permissions are the only access control), a dashboard.

pub mod client;
pub mod limits;
pub mod server;
pub mod socket;
pub mod types;

pub use self::{
    client::{Blobs, Client, ClientError, Events, TransferError},
    server::Server,
    socket::BindError,
    types::{
        AcceptAnswer, AcceptPatch, AcceptRule, AttemptView, BackupRequest, BatchMembers, BatchSpec,
        BlobContent, BlobQuery, BlobSpaceView, BlobView, CancelRequest, CancelledBy, CapacityView,
        ConnectionCounts, DialAnswer, DialRequest, DrainAnswer, DrainRequest, Durability,
        EndedTask, ErrorCode, ErrorView, EventType, EventView, ExpiredLimit, FindRequest,
        FreedAnswer, GroupQuery, GroupState, GroupStory, GroupView, HandlerView, HealthState,
        HealthView, KeyCopySign, KeyCopyView, List, MemberResult, MemberSpec, MemberState,
        NodeState, NodeView, ObstacleCode, ObstacleView, OfferView, ParamView, Payload, PeerPatch,
        PeerPath, PeerState, PeerView, PinRequest, PingAnswer, Problem, ProgressView, RangeSpec,
        RetryAnswer, StageName, StopAnswer, StopRequest, StoredBlob, TaskCounts, TaskQuery,
        TaskSpec, TaskState, TaskView, Transport, TrustAnswer, UploadRequest, UploadView,
        WaitAnswer, WaitCode, WaitRequest, WaitingMembers, WaitingView, WaitsView,
    },
};
