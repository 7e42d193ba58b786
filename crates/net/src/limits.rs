//! Every bound of the network, with its reason (I4) and the behaviour when it is reached.

use std::time::Duration;

/// Largest `max_peers`: each end of a connection costs about 80 KiB of resident memory.
pub const MAX_PEERS: usize = 1_024;
/// Default for `max_peers`.
pub const DEFAULT_MAX_PEERS: usize = 96;
/// The range of each duration in a configuration: shorter ones are within a slow link's delay, longer
/// ones hold places of peers that are gone.
pub const PERIOD: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);
/// Peers in the table, connected or not; the longest absent is forgotten.
pub const KNOWN_PEERS: usize = 1_024;
/// Peers that the user blocks; the same bound as for known peers.
pub const BLOCKED: usize = KNOWN_PEERS;
/// Addresses remembered per peer.
pub const PEER_ADDRESSES: usize = 8;
/// Commands of handles that wait for the loop; callers wait when the queue is full.
pub const COMMANDS: usize = 64;
/// Events that wait for the node; the loop stops polling the swarm when the queue is full.
pub const EVENTS: usize = 256;
/// Batches of decoded frames that wait for their consumer, over all sessions. When the queue is
/// full, readers wait and, by the stream's window, peers wait too.
pub const FRAME_BATCHES: usize = 64;
/// Bytes of a task frame: an inline input or result of 1 MiB and its other fields.
pub const TASK_FRAME: usize = (1024 + 64) * 1024;
/// Bytes of a control frame (hello).
pub const CONTROL_FRAME: usize = 64 * 1024;
/// Bytes of a frame of a link: a health report with all its reasons has 4.5 KiB.
pub const LINK_FRAME: usize = 8 * 1024;
/// Longest time from the first byte of a link's frame to its last, in either direction.
pub const LINK_TIMEOUT: Duration = Duration::from_secs(10);
/// Frames that wait for one link. When it is full, a report is dropped and counted; the next report
/// is newer anyway.
pub const LINK_OUTBOX: usize = 16;
/// Frames that wait for a link that is being opened; the oldest is dropped.
pub const LINK_WAITING: usize = 8;
/// Frames of links that wait for the loop; links stop reading when the queue is full.
pub const LINK_EVENTS: usize = 256;
/// Largest age of a report: older ones count as this old. One year.
pub const REPORT_AGE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Open links over all peers: two protocols in both directions, and the same number closing.
pub const LINKS: usize = 8 * MAX_PEERS;
/// Unanswered questions or echoes of handles to one peer; more are answered `Busy`.
pub const ASKED: usize = 32;
/// Frames that wait in a session's outbox. The engine's credit keeps it far below; a session that
/// reaches it is closed as stuck.
pub const OUTBOX: usize = 65_536;
/// A peer that does not read for this long loses its session.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time from the first byte of a frame to its last; a slower peer loses its session (S-07).
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a session's read buffer. Longer messages get their own buffer, which grows with the
/// arrived bytes, so that a length prefix alone costs no memory (S-08).
pub const READ_BLOCK: usize = 64 * 1024;
/// Bytes of frames that a session's writer encodes before it writes them.
pub const WRITE_CHUNK: usize = 64 * 1024;
/// Bytes at which a batch of frames becomes a message: small enough that the receiver works while
/// the rest travels. A single frame may be larger, up to [`TASK_FRAME`].
pub const BATCH_BYTES: usize = 32 * 1024;
/// Entries of a list in one message (S-10): the number of unfinished attempts that an owner may
/// have at a worker.
pub const BATCH_ENTRIES: usize = meshwork_core::limits::CREDIT_TASKS as usize;
/// Frames at which a session passes a batch to its consumer, which thus holds at most
/// [`FRAME_BATCHES`] times this and one message's entries.
pub const FRAMES_PER_EVENT: usize = 4_096;
/// Unwritten answers of the session itself (unknown kinds, malformed tasks); it stops reading until
/// they are written.
pub const ANSWERS: usize = 1_024;
/// Messages of unknown kinds that one session answers; one more closes it.
pub const UNKNOWN_KINDS: usize = 64;
/// Decoded handler names that a session caches; others are decoded each time.
pub const KNOWN_NAMES: usize = 16;
/// Turns of a session's reader or writer before other tasks run: about 1 MiB.
pub const TURNS_PER_POLL: usize = 16;
/// Frames for which a session keeps memory after a burst; the rest is freed.
pub const KEPT_FRAMES: usize = 4_096;
/// Longest time to send the refusal of a stream.
pub const REFUSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time from the connection to the end of both hellos.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

// --- Connections -----------------------------------------------------------------------------

/// Inbound handshakes in progress, over TCP and over QUIC each. At the limit, the address group
/// with the most handshakes loses one for a new one. A handshake costs about 1 ms of CPU.
pub const PENDING_INBOUND: usize = 32;
/// How long an inbound TCP connection may be silent. A dialler sends at once, so its first bytes
/// arrive with the last packet of TCP's own handshake.
pub const FIRST_BYTE: Duration = Duration::from_secs(3);
/// Longest time from the first byte of an inbound connection to the end of its handshake: three
/// round trips.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a new handshake is safe from displacement by its own address group, so that many honest
/// peers do not cancel each other's handshakes.
pub const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);
/// IP addresses of peers that were ready since the start, for which places are reserved. The one
/// whose last peer became ready longest ago is forgotten.
pub const READY_ADDRESSES: usize = 256;
/// Inbound connections shed within [`CROWD_WINDOW`] at which the user is warned: enough to fill
/// all places once. Health checks of a load balancer stay below it.
pub const CROWD: u64 = PENDING_INBOUND as u64;
/// The period for [`CROWD`].
pub const CROWD_WINDOW: Duration = Duration::from_secs(60);
/// Dials of targets that may begin within [`DIAL_TURN`]; further targets wait.
pub const DIAL_PLACES: usize = 16;
/// How long a dial holds its place. A slower dial continues, but the next target gets its place:
/// most peers answer within one round trip.
pub const DIAL_TURN: Duration = Duration::from_secs(2);
/// Dials of targets in progress, those that lost their place included.
pub const TARGET_DIALS: usize = 64;
/// Dials in progress for handles; further ones are answered `Busy`.
pub const CALLER_DIALS: usize = 16;
/// Dials in progress of Kademlia and of peers that others named; further ones are dropped.
pub const OTHER_DIALS: usize = 16;
/// Interval between the dials of two addresses of a name.
pub const NAME_STEP: Duration = Duration::from_millis(250);
/// Addresses of a name that wait to be dialled; further ones are not tried.
pub const NAME_ADDRESSES: usize = 16;
/// Connections per peer: those for tasks, and one for blobs that each side dialled. More are closed.
pub const CONNECTIONS_PER_PEER: usize = TASK_CONNECTIONS + 2;
/// Connections per peer that are for tasks: two while duplicates are settled. A third is closed.
pub const TASK_CONNECTIONS: usize = 2;
/// Connections of a peer whose dialer has not said yet what they are for: one for blobs, and one that
/// replaces a connection for tasks. A third is closed.
pub const UNDETERMINED: usize = 2;
/// Connections beside those for tasks, of all peers and in each direction: for each fetch that may
/// run, and for as many that ended within [`IDLE_TIMEOUT`]. Beyond it, blobs share the connection of
/// the tasks.
pub const BLOB_CONNECTIONS: usize = 2 * FETCHES;
/// How long a fetch waits for a connection for blobs before it shares that of the tasks: several round
/// trips, and little beside the time that a large blob takes.
pub const BLOB_DIAL_WAIT: Duration = Duration::from_secs(2);
/// Wait before a peer that could not be dialled for blobs is dialled for them again. A firewall or NAT
/// seldom changes, and each try may cost a fetch [`BLOB_DIAL_WAIT`].
pub const BLOB_REDIAL: Duration = Duration::from_secs(60);
/// Connected peers that are not admitted. At the limit, the address group with the most of them
/// loses one for a new one. Trusted peers do not count.
pub const STRANGERS: usize = 16;
/// How long such a peer is safe from displacement by its own address group: several round trips for
/// its hello.
pub const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// An unused connection is closed after this time. A ready connection for tasks counts as used, one
/// for blobs only while it has a stream: a node fetches the files of one task, or of many in a row.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses of one peer that are dialled at once; a dial of many addresses is a burst of packets.
pub const DIAL_CONCURRENCY: u8 = 2;
/// Streams of one Yamux connection (512 by default). Beyond it Yamux closes the connection, so it
/// is above the sum of all protocols: hello 4 + task 2 + discovery 4 + resource 2 + health 2 +
/// blob 8 inbound, the same outbound, identify 10, ping 2, Kademlia 32 inbound and 32 outbound.
pub const YAMUX_STREAMS: usize = 128;
/// Streams of one QUIC connection that the peer may have open (256 by default); more wait.
pub const QUIC_STREAMS: u32 = 64;
/// Bytes in flight on one QUIC stream (10 MB by default): 80 Gbit/s at 0.1 ms, 80 Mbit/s at 100 ms.
pub const QUIC_STREAM_WINDOW: u32 = 1_000_000;
/// Bytes in flight on one QUIC connection (15 MB by default): 128 of them hold 512 MB at most.
pub const QUIC_CONNECTION_WINDOW: u32 = 4_000_000;
/// A QUIC connection that is silent for this long is dead.
pub const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval between QUIC keep-alive packets: three within [`QUIC_IDLE_TIMEOUT`].
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(6);
/// Streams of one connection whose protocol is being negotiated (128 by default); more wait.
pub const NEGOTIATING_STREAMS: usize = 16;
/// How long the same warning is not repeated: a listener's error, or too many peers.
pub const SAME_COMPLAINT: Duration = Duration::from_secs(60);
/// Interval between measurements of the round trip to a busy peer: the credit of its tasks follows
/// it. One small frame each way.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Interval between libp2p pings. Echoes decide whether a peer is alive; the pings are for peers
/// that are not Meshwork nodes.
pub const PING_EVERY: Duration = Duration::from_secs(3600);
/// How long a connection may take to close before its socket is dropped. A peer that does not read
/// could delay it until TCP gives up.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the node that settles duplicates keeps the surplus connection open, so that bytes in
/// flight arrive.
pub const SURPLUS_TIME: Duration = Duration::from_secs(1);
/// How long the other node waits for that before it closes the surplus connection itself.
pub const SURPLUS_PATIENCE: Duration = Duration::from_secs(5);
/// Connections whose ages differ by less came from a simultaneous dial.
pub const SIMULTANEOUS: Duration = Duration::from_secs(10);
/// How long connections to a peer that broke the protocol are denied.
pub const EXPEL_TIME: Duration = Duration::from_secs(60);
/// Expelled peers; at the limit, the one whose time ends first is allowed again.
pub const EXPELLED: usize = 256;

// --- Streams ---------------------------------------------------------------------------------

/// Open hello streams of a peer per connection: one is in use; the rest absorb renewals.
pub const HELLO_STREAMS: usize = 4;
/// Open task streams of a peer per connection: the session and its replacement.
pub const TASK_STREAMS: usize = 2;
/// Open discovery streams of a peer per connection: each is one question.
pub const DISCOVERY_STREAMS: usize = 4;
/// Open resource streams, and open health streams, of a peer per connection: the one in use and its
/// replacement.
pub const LINK_STREAMS: usize = 2;
/// Open blob streams of a peer per connection: those that are served, and as many that are answered
/// `busy`.
pub const BLOB_STREAMS: usize = 2 * FETCHES_PER_PEER;
/// Longest negotiation of an outbound stream.
pub const OPEN_TIMEOUT: Duration = HELLO_TIMEOUT;

// --- Blobs -----------------------------------------------------------------------------------

/// Blob streams with one peer, in each direction. Four share a link about as well as more; further
/// outbound ones are not opened, further inbound ones are answered `busy`.
pub const FETCHES_PER_PEER: usize = 4;
/// Blob streams with all peers, in each direction. Each holds at most two pieces: 1 MiB.
pub const FETCHES: usize = 16;
/// How long a peer waits after such a `busy`.
pub const BLOB_RETRY: Duration = Duration::from_secs(1);
/// Requests for blobs of a peer, in a burst and per second; more wait, because a folder has a blob
/// for each of its larger files. A request costs the node a decision and two open files.
pub const BLOBS_ASKED: (u32, u32) = (4_096, 1_000);
/// Ranges of one request; the rest is asked for later. A cut transfer leaves one range, a damaged
/// file a few.
pub const BLOB_RANGES: usize = 64;
/// Bytes of a request with all its ranges, and of a refusal.
pub const BLOB_MESSAGE: usize = 4 * 1024;
/// Bytes before the encoding of a piece in its message: a length, a key and a length.
pub const PIECE_HEAD: usize = 16;
/// Groups of 64 KiB that a fetch has asked for and not verified yet: 1 MiB, in the network and in
/// memory. Fetches over a distance share a link by being several.
pub const FETCH_GROUPS: u64 = 16;
/// Groups of one request of a fetch: a quarter of [`FETCH_GROUPS`], so that others are under way while
/// one is verified.
pub const REQUEST_GROUPS: u64 = 4;
/// Requests that are sent ahead of their answers. They fit into the window of a stream even if the
/// provider does not read them yet.
pub const ASKED_AHEAD: usize = 32;
/// Longest wait for the first byte of an answer: the provider asks its node and reads its disk.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a provider waits for its node. Shorter than [`ANSWER_TIMEOUT`], so that the peer gets
/// an answer.
pub const DECIDE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one piece of 512 KiB, in either direction: a peer that is slower than 17 KiB/s
/// holds a place that others need.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream may be open without a request: longer than a slow peer takes to read the
/// answers to those that it has sent.
pub const BLOB_IDLE: Duration = Duration::from_secs(120);

// --- Hello -----------------------------------------------------------------------------------

/// Hellos in progress in each direction. Further outbound ones wait; further inbound ones are
/// dropped, and the peer sends them again. Each holds at most [`CONTROL_FRAME`] bytes.
pub const HELLOS: usize = 256;
/// Hellos of a peer, in a burst and per second; more are answered `busy`. A node whose offer is
/// changed by a script may send several at once.
pub const HELLOS_ASKED: (u32, u32) = (64, 6);
/// Discovery requests of a peer, in a burst and per second; more are answered `busy`. A request has
/// up to [`ADVERTS`] signatures of about 50 µs each: a peer costs 3 ms of CPU per second. A peer in
/// this node's own range may add [`PRIVATE_ADDRESSES`] to each new advert.
pub const QUERIES_ASKED: (u32, u32) = (16, 4);
/// Reports of a peer's resources and health, in a burst and per second; more are refused as `busy`.
/// Honest peers send at most one per second.
pub const REPORTS_ASKED: (u32, u32) = (16, 4);
/// Questions of a peer for this node's resources, in a burst and per second; more are answered
/// `busy`.
pub const QUESTIONS_ASKED: (u32, u32) = (32, 8);
/// Echoes of a peer, in a burst and per second; more are answered `busy`. A user who measures sends
/// ten per second.
pub const ECHOES_ASKED: (u32, u32) = (64, 32);
/// Provider records that a peer may store here, in a burst and per second; more are dropped and
/// counted. The burst is the number of capabilities that a node may have.
pub const RECORDS_ASKED: (u32, u32) = (64, 1);
/// Wait before a hello that failed within [`HELLO_TIMEOUT`] is sent again.
pub const HELLO_RETRY: Duration = Duration::from_millis(500);
/// Starts of one peer that are remembered, to detect two machines with its key; the one not seen
/// for longest is forgotten. A machine that restarts all the time beside a quiet one fills it.
pub const INSTANCES: usize = 8;
/// How long a copied key is shown after it was last seen, and the interval between its reports
/// while it continues.
pub const COPIED_TIME: Duration = Duration::from_secs(3600);
/// Reports about copied keys of untrusted peers within [`COPIED_TIME`]; each is a line in the
/// node's log. All copied keys are shown.
pub const COPIES_REPORTED: usize = 8;
/// When a peer that was refused because of `max_peers` may ask again.
pub const FULL_RETRY: Duration = Duration::from_secs(30);
/// Bytes of a network's name, which is part of a protocol name.
pub const NETWORK_NAME: usize = 64;
/// Protocols kept from identify; the rest is dropped.
pub const PROTOCOLS: usize = 32;

// --- Sessions --------------------------------------------------------------------------------

/// Session streams over all peers; more are dropped and counted. Two roles per peer, and the same
/// number closing.
pub const SESSIONS: usize = 4 * MAX_PEERS;
/// Task streams that are being refused; more are reset and counted.
pub const REFUSALS: usize = 64;

// --- Dialling and discovery ------------------------------------------------------------------

/// Listen addresses, and bootstrap addresses, in a configuration.
pub const CONFIGURED_ADDRESSES: usize = 64;
/// Peers to which the node keeps a connection, besides the bootstrap addresses; `keep` of a further
/// one only logs a warning.
pub const PERSISTENT_PEERS: usize = MAX_PEERS;
/// Addresses that the user dialled; the oldest is forgotten first. Configured addresses do not
/// count.
pub const GIVEN_ADDRESSES: usize = 1_024;
/// Callers that wait for the same dial; more are answered `Busy`.
pub const DIAL_CALLERS: usize = 16;
/// First wait before a lost peer is dialled again; doubles up to [`REDIAL_MAX`], with jitter.
pub const REDIAL_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a lost peer is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);
/// Peers from the peer book at a start, the last met first; more are ignored. Each has at most
/// [`REMEMBERED_ADDRESSES`], which may be dialled as long as the node runs.
pub const REMEMBERED_PEERS: usize = 200;
/// Addresses of a remembered peer: a few interfaces, TCP and QUIC.
pub const REMEMBERED_ADDRESSES: usize = 4;
/// Failed dials after which a remembered peer is no longer dialled; other peers may still name it.
/// A persistent peer is dialled for ever.
pub const RECALL_TRIES: u32 = 3;
/// Dials in progress at which further remembered peers wait: half of [`DIAL_PLACES`] is reserved
/// for persistent peers and bootstrap addresses.
pub const RECALL_DIALS: usize = 8;
/// How long they wait before they try again.
pub const RECALL_PAUSE: Duration = Duration::from_secs(1);
/// Peers found by mDNS; more are ignored until some expire (S-16).
pub const MDNS_PEERS: usize = 256;
/// Longest lifetime of an address found by mDNS, even if its packet asks for more.
pub const MDNS_TTL: Duration = Duration::from_secs(600);
/// Interval between mDNS queries: twice within [`MDNS_TTL`], so that live peers stay known.
pub const MDNS_QUERY: Duration = Duration::from_secs(270);
/// How long the node with the larger id waits for the other one to dial, so that not both dial.
pub const DIAL_COURTESY: Duration = Duration::from_secs(2);
/// Interval at which Kademlia refreshes its routing table; a refresh connects to many peers.
pub const KAD_BOOTSTRAP: Duration = Duration::from_secs(600);
/// Longest Kademlia query.
pub const KAD_QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest Kademlia message: 20 peers of 8 addresses.
pub const KAD_PACKET: usize = 16 * 1024;

// --- Exchange, search, Kademlia's records -----------------------------------------------------

/// Adverts in one discovery message: with [`ADVERT_PAYLOAD`] they fit into a [`CONTROL_FRAME`].
pub const ADVERTS: usize = 16;
/// Private addresses in one advert: IPv4 and IPv6, TCP and QUIC.
pub const PRIVATE_ADDRESSES: usize = 4;
/// Private ranges of a node's own networks; further interfaces are ignored.
pub const LAN_RANGES: usize = 64;
/// Dialled peers whose IP address is kept until the loop sees the connection: more than can be
/// dialled at once.
pub const DIALLED_IPS: usize = 1_024;
/// Signed bytes of an advert. A node drops handlers from its own advert that do not fit.
pub const ADVERT_PAYLOAD: usize = 3_072;
/// Discovery streams in progress in each direction. Further outbound ones are not opened; further
/// inbound ones are answered `busy`. Of the outbound ones at most [`DISCOVERY_STREAMS`] are to one
/// peer, which would refuse more, and at most [`NEWS_PEERS`] report new peers. Each holds at most
/// [`CONTROL_FRAME`] bytes.
pub const EXCHANGES: usize = 64;
/// How long a peer waits after such a `busy`.
pub const EXCHANGE_RETRY: Duration = Duration::from_secs(1);
/// Interval at which a node sends its known adverts to one ready peer: more than twice within an
/// advert's lifetime, at most 64 bytes per second on average for full messages of small adverts.
pub const EXCHANGE_EVERY: Duration = Duration::from_secs(240);
/// A node sends its own advert again while it is younger than this; an older one is replaced by a
/// new one.
pub const ADVERT_RENEW: Duration = Duration::from_secs(60);
/// Ready peers that get an advert when the node announces itself or bootstraps.
pub const TOLD_PEERS: usize = 16;
/// Ready peers that one search asks.
pub const ASKED_PEERS: usize = 8;
/// Searches in progress; further ones are answered `busy`.
pub const SEARCHES: usize = 16;
/// Callers that wait for the same search; more are answered `busy`.
pub const SEARCH_CALLERS: usize = 64;
/// How long a caller waits after such a `busy`.
pub const SEARCH_RETRY: Duration = Duration::from_secs(1);
/// How long an empty result of a search is valid.
pub const SEARCH_EMPTY_TTL: Duration = Duration::from_secs(2);
/// How long a result of a search is valid: the same search does not run again within it.
pub const SEARCH_TTL: Duration = Duration::from_secs(30);
/// Results of searches that are kept for that; the oldest is forgotten.
pub const SEARCHES_KEPT: usize = 64;
/// Providers that one search takes from Kademlia; the rest is ignored.
pub const SEARCH_PROVIDERS: usize = 20;
/// A node dials remembered peers while fewer admitted peers than this were dialled or met before.
pub const MIN_DEGREE: usize = 8;
/// A node dials peers known by hearsay while fewer peers than this are admitted. Up to this many
/// nodes, every node is connected to every other; in larger networks a node knows enough of the
/// others. At most three quarters of `max_peers`.
pub const MESH_DEGREE: usize = 24;
/// Delay between hearsay and the dials that it causes, so that one round serves several adverts.
pub const MESH_DELAY: Duration = Duration::from_millis(100);
/// Interval between rounds of such dials, while too few peers are connected and others are known.
pub const MESH_EVERY: Duration = Duration::from_secs(1);
/// Delay before a new peer is reported to the others, so that one message reports several.
pub const NEWS_DELAY: Duration = Duration::from_millis(250);
/// Shortest interval between reports about one peer whose advert keeps changing.
pub const NEWS_PAUSE: Duration = Duration::from_secs(10);
/// New peers that wait to be reported; more are reported in the regular exchanges.
pub const NEWS: usize = 256;
/// Ready peers that get a report about a new peer. A peer that has not answered the last report is
/// left out. Fewer than [`EXCHANGES`], so that peers that never answer do not prevent searches.
pub const NEWS_PEERS: usize = 48;
/// Peers that are looked up because tasks wait for them.
pub const SOUGHT_PEERS: usize = 64;
/// The number of absent peers, named by the user, that this node looks up at a peer that
/// becomes ready.
pub const SOUGHT_AT_ONCE: usize = 4;
/// Look-ups of named peers, in a burst and per second; each asks [`ASKED_PEERS`].
pub const SEEKS: (u32, u32) = (8, 1);
/// Look-ups by Kademlia in progress: each asks about 20 peers.
pub const KAD_LOOKUPS: usize = 4;
/// Shortest interval between two look-ups by Kademlia.
pub const KAD_LOOKUP_PAUSE: Duration = Duration::from_secs(10);
/// Shortest interval between dials of one host and port on other peers' word (P-12).
pub const NAMED_DIAL_EVERY: Duration = Duration::from_secs(60);
/// Dials within that interval of addresses that one peer, or Kademlia, or the node named.
pub const NAMED_DIALS: usize = 10;
/// Extra charge to an informant for an address at which another peer answers: two in a minute use
/// up [`NAMED_DIALS`]. One may be honest, because addresses change hands.
pub const WRONG_PEER_COST: usize = 4;
/// Addresses from Kademlia's answers, each with its informant. The oldest is forgotten, and its
/// dial is charged to this node. The number that may be dialled in a minute.
pub const KAD_NAMED: usize = NAMED_DIALS_KEPT;
/// Dials within that interval of all named addresses; more wait.
pub const NAMED_DIALS_KEPT: usize = 1_024;
/// Interval at which a node publishes its capabilities again: three times within
/// [`KAD_RECORD_LIFE`].
pub const KAD_REPUBLISH: Duration = Duration::from_secs(20 * 60);
/// Lifetime of a provider record of another node.
pub const KAD_RECORD_LIFE: Duration = Duration::from_secs(60 * 60);
/// Providers stored for one key; more are ignored.
pub const KAD_PROVIDERS: usize = 20;
/// Provider records stored for other nodes; more are dropped and counted.
pub const KAD_RECORDS: usize = 1_024;
/// Of these, the records of one peer: the number of capabilities that it may have.
pub const KAD_RECORDS_PER_PEER: usize = meshwork_core::limits::LABELS;
/// Shortest interval between two publications of the capabilities because Kademlia met a new peer.
pub const KAD_PROVIDE_PAUSE: Duration = Duration::from_secs(60);

// --- The loop --------------------------------------------------------------------------------

/// Commands carried out before the swarm is polled.
pub const COMMANDS_PER_TURN: usize = 16;
/// Size of the table of peers up to which each change is published at once. Larger tables are
/// published at most once per [`PUBLISH_EVERY`], because publishing copies the table.
pub const PUBLISH_AT_ONCE: usize = 64;
/// The interval for [`PUBLISH_AT_ONCE`].
pub const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// How long [`Network::build`](crate::build::Network::build) waits for the first listener.
pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it then waits for the other listeners.
pub const LISTEN_GRACE: Duration = Duration::from_secs(1);
/// How long a stopping node waits for its connections to close.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);
