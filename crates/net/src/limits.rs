//! Every bound of the network, with its reason (I4). What happens when one is full is said here.

use std::time::Duration;

/// Largest `max_peers`: each connection end costs about 80 KiB resident.
pub const MAX_PEERS: usize = 1_024;
/// Default for `max_peers`.
pub const DEFAULT_MAX_PEERS: usize = 96;
/// Peers remembered in the table, connected or not; the longest absent is forgotten.
pub const KNOWN_PEERS: usize = 1_024;
/// Peers that the user blocks: as many as are known.
pub const BLOCKED: usize = KNOWN_PEERS;
/// Addresses remembered per peer.
pub const PEER_ADDRESSES: usize = 8;
/// Commands of handles that wait for the loop; callers wait when it is full.
pub const COMMANDS: usize = 64;
/// Facts that wait for the loop's owner; the loop stops polling the swarm when it is full.
pub const EVENTS: usize = 256;
/// Batches of decoded frames that wait for their consumer, over all sessions; readers wait when it
/// is full, and with them, by the stream's window, the peers.
pub const FRAME_BATCHES: usize = 64;
/// Bytes of a task frame: an inline input or result of 1 MiB and what surrounds it.
pub const TASK_FRAME: usize = (1024 + 64) * 1024;
/// Bytes of a control frame (hello).
pub const CONTROL_FRAME: usize = 64 * 1024;
/// Bytes of a frame of a link: a report of health with all its reasons is 4.5 KiB.
pub const LINK_FRAME: usize = 8 * 1024;
/// From the first byte of a link's frame to its last, in either direction.
pub const LINK_TIMEOUT: Duration = Duration::from_secs(10);
/// Frames that wait for one link; a report that finds no place is dropped and counted, the next one
/// says more.
pub const LINK_OUTBOX: usize = 16;
/// Frames that wait for a link that is being opened; the earliest is dropped.
pub const LINK_WAITING: usize = 8;
/// Frames of links that wait for the loop; links read no more when it is full.
pub const LINK_EVENTS: usize = 256;
/// Oldest age of a report that is told apart from older ones: a year.
pub const REPORT_AGE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Links at once, over all peers: two protocols in both directions, and as many that end.
pub const LINKS: usize = 8 * MAX_PEERS;
/// Questions or echoes of handles to one peer that wait for their answer; more are answered `Busy`.
pub const ASKED: usize = 32;
/// Frames that wait in a session's outbox. The engine's credit keeps it far below; a session that
/// reaches it is closed as stuck.
pub const OUTBOX: usize = 65_536;
/// A peer that does not read for so long loses its session.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// From the first byte of a frame to its last; a slower peer loses its session (S-07).
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// What a session reads into at once; longer messages get a buffer of their own that grows with
/// what has arrived, so that a length alone costs no memory (S-08).
pub const READ_BLOCK: usize = 64 * 1024;
/// Bytes of encoded frames that a session's writer makes before it writes them.
pub const WRITE_CHUNK: usize = 64 * 1024;
/// Bytes at which a batch of frames becomes a message: small enough that the receiver works while
/// the rest travels. A single frame may be larger, up to [`TASK_FRAME`].
pub const BATCH_BYTES: usize = 32 * 1024;
/// Entries of a list in one message (S-10): as many as an owner may have unfinished at a worker.
pub const BATCH_ENTRIES: usize = meshwork_core::limits::CREDIT_TASKS as usize;
/// Frames at which a session hands a batch to its consumer, who thus holds at most
/// [`FRAME_BATCHES`] times this and one message's entries.
pub const FRAMES_PER_EVENT: usize = 4_096;
/// Answers that a session itself owes its peer (unknown kinds, malformed tasks); it reads on when
/// they are written.
pub const ANSWERS: usize = 1_024;
/// Messages of unknown kinds that one session answers; one more ends it.
pub const UNKNOWN_KINDS: usize = 64;
/// Handler names that a session keeps decoded; the rest are made anew each time.
pub const KNOWN_NAMES: usize = 16;
/// Turns of a session's reader or writer before other tasks get theirs: about 1 MiB.
pub const TURNS_PER_POLL: usize = 16;
/// Empty frames for which a session keeps room after a burst; the rest is given back.
pub const KEPT_FRAMES: usize = 4_096;
/// Longest time for telling a peer that its stream is refused.
pub const REFUSE_TIMEOUT: Duration = Duration::from_secs(5);
/// From the connection to the end of both hellos.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

// --- Connections -----------------------------------------------------------------------------

/// Handshakes of others at once, over TCP and over QUIC each; for a further one the address group
/// with the most of them gives one up. A handshake costs about 1 ms of CPU.
pub const PENDING_INBOUND: usize = 32;
/// How long an inbound TCP connection may be silent. A dialler speaks at once, so its first bytes
/// arrive with the last packet of TCP's own handshake.
pub const FIRST_BYTE: Duration = Duration::from_secs(3);
/// From the first byte of an inbound connection to the end of its handshake: three round trips.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a handshake that has begun is left alone by newcomers of its own address group, so that
/// a crowd of honest peers does not undo each other's work.
pub const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);
/// Hosts of peers that were ready since the start, for which places are kept; the one at which no
/// peer has become ready for longest is forgotten.
pub const KNOWN_HOSTS: usize = 256;
/// Inbound connections shed within [`CROWD_WINDOW`] at which the operator is warned: as many as fill
/// all places once. Health checks of a load balancer stay below it.
pub const CROWD: u64 = PENDING_INBOUND as u64;
/// See [`CROWD`].
pub const CROWD_WINDOW: Duration = Duration::from_secs(60);
/// Dials of targets that may begin within [`DIAL_TURN`]; further ones wait for their turn.
pub const DIAL_PLACES: usize = 16;
/// How long a dial holds its place. Whoever has not answered by then is waited for, but others get
/// their turn: most addresses that answer do so within one round trip.
pub const DIAL_TURN: Duration = Duration::from_secs(2);
/// Dials of targets at once, with those that have had their turn.
pub const TARGET_DIALS: usize = 64;
/// Dials at once that handles asked for; further ones are answered `Busy`.
pub const CALLER_DIALS: usize = 16;
/// Dials at once of Kademlia and of peers that others named; further ones are dropped.
pub const OTHER_DIALS: usize = 16;
/// How long after one address of a name the next is tried beside it.
pub const NAME_STEP: Duration = Duration::from_millis(250);
/// Addresses of a name that wait for their turn; what a name leads to beyond them is not tried.
pub const NAME_ADDRESSES: usize = 16;
/// Connections per peer: two while duplicates settle. A third is closed.
pub const CONNECTIONS_PER_PEER: usize = 2;
/// Connected peers that are not admitted. For a further one the address group with the most of them
/// gives one up. Trusted peers are not counted.
pub const STRANGERS: usize = 16;
/// How long such a peer is left alone by newcomers of its own address group: several round trips for
/// its hello.
pub const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// A connection that nothing uses is closed after this. Those of admitted peers count as used.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses of one peer that are tried at once; a dial of many addresses is a burst of packets.
pub const DIAL_CONCURRENCY: u8 = 2;
/// Streams of one Yamux connection (512 by default). Past it Yamux closes the connection, so it
/// lies above the sum of all protocols: hello 4 + task 2 + discovery 4 + resource 2 + health 2 in,
/// as many out, identify 10, ping 2, Kademlia 32 in and 32 out.
pub const YAMUX_STREAMS: usize = 128;
/// Streams of one QUIC connection that the peer may have open (256 by default); more wait.
pub const QUIC_STREAMS: u32 = 64;
/// Bytes in flight on one QUIC stream (10 MB by default): 80 Gbit/s at 0.1 ms, 80 Mbit/s at 100 ms.
pub const QUIC_STREAM_WINDOW: u32 = 1_000_000;
/// Bytes in flight on one QUIC connection (15 MB by default): 128 of them hold 512 MB at most.
pub const QUIC_CONNECTION_WINDOW: u32 = 4_000_000;
/// A QUIC connection that is silent for so long is dead.
pub const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a QUIC connection shows that it is alive: three times within its idle time.
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(6);
/// Streams of one connection whose protocol is being negotiated (128 by default); more wait.
pub const NEGOTIATING_STREAMS: usize = 16;
/// How often the same complaint of a listener is told, while it lasts.
pub const SAME_COMPLAINT: Duration = Duration::from_secs(60);
/// How often the round trip to a peer is measured while the connection is busy: the credit of its
/// tasks follows it. One small frame each way.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// How often libp2p's ping is sent: whether a peer is there is for its echoes to say. Peers that are
/// no Meshwork nodes expect it to be answered.
pub const PING_EVERY: Duration = Duration::from_secs(3600);
/// How long a connection may take to close; then its socket is dropped. A peer that does not read
/// would put it off for as long as TCP believes in it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the end that settles duplicates leaves the surplus connection open, so that what
/// travels on it arrives.
pub const SURPLUS_TIME: Duration = Duration::from_secs(1);
/// How long the other end waits for that before it closes the surplus connection itself.
pub const SURPLUS_PATIENCE: Duration = Duration::from_secs(5);
/// Connections whose ages differ by less came from a simultaneous dial.
pub const SIMULTANEOUS: Duration = Duration::from_secs(10);
/// How long a peer that broke the protocol is not connected to.
pub const EXPEL_TIME: Duration = Duration::from_secs(60);
/// Peers refused for that reason at once; past it the one that would be free first is.
pub const EXPELLED: usize = 256;

// --- Streams ---------------------------------------------------------------------------------

/// Open hello streams of a peer per connection: one is in use; the rest absorb renewals.
pub const HELLO_STREAMS: usize = 4;
/// Open task streams of a peer per connection: the session and the one that replaces it.
pub const TASK_STREAMS: usize = 2;
/// Open discovery streams of a peer per connection: each is one question.
pub const DISCOVERY_STREAMS: usize = 4;
/// Open resource, and open health streams of a peer per connection: the one in use and the one that
/// replaces it.
pub const LINK_STREAMS: usize = 2;
/// Longest negotiation of one of our streams.
pub const OPEN_TIMEOUT: Duration = HELLO_TIMEOUT;

// --- Hello -----------------------------------------------------------------------------------

/// Hellos under way in each direction; further ones of ours wait, of others are dropped and come
/// again. Each holds at most [`CONTROL_FRAME`] bytes.
pub const HELLOS: usize = 256;
/// Hellos of a peer, in a burst and per second; more are answered `busy`. A node that changes what
/// it offers by a script may say several at once.
pub const HELLOS_ASKED: (u32, u32) = (64, 6);
/// Discovery requests of a peer, in a burst and per second; more are answered `busy`. A request
/// carries up to [`ADVERTS`] signatures of some 50 µs each: a peer costs 3 ms of CPU in a second. A
/// peer in this node's own range may add [`PRIVATE_ADDRESSES`] to each advert that is new.
pub const QUERIES_ASKED: (u32, u32) = (16, 4);
/// Reports of a peer's resources and health, in a burst and per second; more are refused as `busy`.
/// Honest peers send one in a second at the most.
pub const REPORTS_ASKED: (u32, u32) = (16, 4);
/// Questions of a peer for this node's resources, in a burst and per second; more are answered
/// `busy`.
pub const QUESTIONS_ASKED: (u32, u32) = (32, 8);
/// Echoes of a peer, in a burst and per second; more are answered `busy`. A person who measures
/// sends ten in a second.
pub const ECHOES_ASKED: (u32, u32) = (64, 32);
/// Provider records that a peer may have kept here, in a burst and per second; more are dropped and
/// counted. As many in a burst as a node has capabilities.
pub const RECORDS_ASKED: (u32, u32) = (64, 1);
/// When a hello that failed within [`HELLO_TIMEOUT`] is tried again.
pub const HELLO_RETRY: Duration = Duration::from_millis(500);
/// Starts of one peer that are told apart, to see whether two machines use its key; the one heard
/// longest ago is forgotten. A machine that restarts all the time beside a quiet one fills it.
pub const INSTANCES: usize = 8;
/// How long after two machines were last seen to use one key that is shown, and how often it is told
/// while it goes on.
pub const COPIED_TIME: Duration = Duration::from_secs(3600);
/// Copied keys of peers that are not trusted, of which the owner is told within [`COPIED_TIME`]: a line
/// each in its log. All of them are shown.
pub const COPIES_TOLD: usize = 8;
/// When a peer that was refused because this node has `max_peers` may ask again.
pub const FULL_RETRY: Duration = Duration::from_secs(30);
/// Bytes of a network's name: it is part of a protocol's name.
pub const NETWORK_NAME: usize = 64;
/// Protocols and bytes of each kept from identify; the rest is dropped.
pub const PROTOCOLS: usize = 32;

// --- Sessions --------------------------------------------------------------------------------

/// Session streams at once, over all peers; more are dropped and counted. Two roles per peer, and
/// as many that end.
pub const SESSIONS: usize = 4 * MAX_PEERS;
/// Task streams that are being refused at once; more are reset and counted.
pub const REFUSALS: usize = 64;

// --- Dialling and discovery ------------------------------------------------------------------

/// Listen addresses, and bootstrap addresses, that a configuration may name.
pub const CONFIGURED_ADDRESSES: usize = 64;
/// Peers to which the node keeps a connection, beside the bootstrap addresses; `keep` of a further
/// one has no effect but a warning.
pub const KEPT_PEERS: usize = MAX_PEERS;
/// Addresses that the operator asked to dial; the earliest given is forgotten first. Those of the
/// configuration are not among them.
pub const GIVEN_ADDRESSES: usize = 1_024;
/// Callers that wait for the same dial; more are answered `Busy`.
pub const DIAL_CALLERS: usize = 16;
/// First wait before a lost peer is dialled again; doubles up to [`REDIAL_MAX`], with jitter.
pub const REDIAL_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a lost peer is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);
/// Peers that a start remembers, the last met first; more are ignored. Each has at most
/// [`REMEMBERED_ADDRESSES`] that may be dialled for as long as the node runs.
pub const REMEMBERED_PEERS: usize = 200;
/// Addresses of a remembered peer: a few interfaces, TCP and QUIC.
pub const REMEMBERED_ADDRESSES: usize = 4;
/// Dials of a remembered peer without success after which it is left to those who know it better;
/// one that is kept is dialled for ever.
pub const RECALL_TRIES: u32 = 3;
/// Dials under way at which further remembered peers wait: half of [`DIAL_PLACES`] is left to kept
/// peers and bootstrap addresses.
pub const RECALL_DIALS: usize = 8;
/// How long they wait before they look again.
pub const RECALL_PAUSE: Duration = Duration::from_secs(1);
/// Peers found by mDNS and kept at once; more are ignored until some expire (S-16).
pub const MDNS_PEERS: usize = 256;
/// Longest life of an address found by mDNS, whatever its packet says.
pub const MDNS_TTL: Duration = Duration::from_secs(600);
/// How often the segment is asked: twice within [`MDNS_TTL`], so that live peers stay known.
pub const MDNS_QUERY: Duration = Duration::from_secs(270);
/// How long the node with the larger id waits for the other one to dial, so that both do not.
pub const DIAL_COURTESY: Duration = Duration::from_secs(2);
/// How often Kademlia refreshes its table: its bootstrap connects to many peers.
pub const KAD_BOOTSTRAP: Duration = Duration::from_secs(600);
/// Longest Kademlia query.
pub const KAD_QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest Kademlia message: 20 peers of 8 addresses.
pub const KAD_PACKET: usize = 16 * 1024;

// --- Exchange, search, Kademlia's records -----------------------------------------------------

/// Adverts in one discovery message: with [`ADVERT_PAYLOAD`] they fit into a [`CONTROL_FRAME`].
pub const ADVERTS: usize = 16;
/// Private addresses that travel with one advert: IPv4 and IPv6, TCP and QUIC.
pub const PRIVATE_ADDRESSES: usize = 4;
/// Private ranges that are a node's own; more own interfaces than that do not count.
pub const LAN_RANGES: usize = 64;
/// Dialled peers whose host is noted until their connection is told of: more than are dialled or
/// being told of at once.
pub const RESOLVED_HOSTS: usize = 1_024;
/// Bytes of an advert that its subject signs. Of its own a node drops handlers beyond it.
pub const ADVERT_PAYLOAD: usize = 3_072;
/// Discovery streams under way in each direction; further ones of ours are not opened, of others
/// answered `busy`. Of ours at most [`DISCOVERY_STREAMS`] are with one peer, which would refuse more,
/// and at most [`NEWS_PEERS`] tell news. Each holds at most [`CONTROL_FRAME`] bytes.
pub const EXCHANGES: usize = 64;
/// What a peer waits whose request found as many under way.
pub const EXCHANGE_RETRY: Duration = Duration::from_secs(1);
/// How often a node tells one ready peer whom it knows: more than twice within an advert's life, at
/// most 64 bytes a second on average for full messages of small adverts.
pub const EXCHANGE_EVERY: Duration = Duration::from_secs(240);
/// An own advert that is younger is told again as it is; an older one is replaced by a new one.
pub const ADVERT_RENEW: Duration = Duration::from_secs(60);
/// Ready peers that are told when the node announces itself or bootstraps.
pub const TOLD_PEERS: usize = 16;
/// Ready peers that one search asks.
pub const ASKED_PEERS: usize = 8;
/// Searches at once; further ones are answered `busy`.
pub const SEARCHES: usize = 16;
/// Callers that wait for the same search; more are answered `busy`.
pub const SEARCH_CALLERS: usize = 64;
/// What a caller waits that was answered so.
pub const SEARCH_RETRY: Duration = Duration::from_secs(1);
/// How long a search that found nobody counts.
pub const SEARCH_EMPTY_TTL: Duration = Duration::from_secs(2);
/// How long a search's answer counts: the same one is not made again within it.
pub const SEARCH_TTL: Duration = Duration::from_secs(30);
/// Searches that are remembered for that; the earliest is forgotten.
pub const SEARCHES_KEPT: usize = 64;
/// Providers that one search takes from Kademlia; the rest is ignored.
pub const SEARCH_PROVIDERS: usize = 20;
/// Admitted peers that this node has dialled or met before below which it dials peers that it
/// remembers.
pub const MIN_DEGREE: usize = 8;
/// Admitted peers below which a node dials peers of which it has only heard: up to so many nodes
/// are connected everybody with everybody, and in larger networks a node knows enough of the others.
/// At most three quarters of `max_peers`.
pub const MESH_DEGREE: usize = 24;
/// How soon after something was heard it is dialled, so that one look serves several adverts.
pub const MESH_DELAY: Duration = Duration::from_millis(100);
/// How often a node looks for peers to dial while it has too few and knows of others.
pub const MESH_EVERY: Duration = Duration::from_secs(1);
/// How soon after a peer has come the others are told, so that one message tells of several.
pub const NEWS_DELAY: Duration = Duration::from_millis(250);
/// How often others are told of one peer that says ever new things of itself.
pub const NEWS_PAUSE: Duration = Duration::from_secs(10);
/// Peers of which the others are still to be told; of more they hear in rounds.
pub const NEWS: usize = 256;
/// Ready peers that are told of one that has come. One that has not answered the last such message
/// is left out. Fewer than [`EXCHANGES`], so that peers that never answer do not stop searches.
pub const NEWS_PEERS: usize = 48;
/// Peers that tasks wait for, and that are looked up for them.
pub const SOUGHT_PEERS: usize = 64;
/// Of those that the operator named, how many a peer that becomes ready is asked for.
pub const SOUGHT_AT_ONCE: usize = 4;
/// Look-ups of named peers, in a burst and per second; each asks [`ASKED_PEERS`].
pub const SEEKS: (u32, u32) = (8, 1);
/// Look-ups by Kademlia at once, and the time from one to the next: each asks some 20 peers.
pub const KAD_LOOKUPS: usize = 4;
/// See [`KAD_LOOKUPS`].
pub const KAD_LOOKUP_PAUSE: Duration = Duration::from_secs(10);
/// How often one host and port is dialled because somebody named it (P-12).
pub const NAMED_DIAL_EVERY: Duration = Duration::from_secs(60);
/// Dials within that time of addresses that one peer has named, or Kademlia, or the owner.
pub const NAMED_DIALS: usize = 10;
/// What an address at which somebody else answers costs its informant beside its dial: of two in a
/// minute nothing is left of [`NAMED_DIALS`]. One may be honest: addresses change hands.
pub const WRONG_PEER_COST: usize = 4;
/// Addresses that Kademlia's answers have named, each with who did; the one named longest ago is
/// forgotten, and dialled at the node's own expense. As many as may be dialled in a minute.
pub const KAD_NAMED: usize = NAMED_DIALS_KEPT;
/// Dials within that time of all named addresses; more wait.
pub const NAMED_DIALS_KEPT: usize = 1_024;
/// How often a node tells Kademlia anew what it provides: three times within [`KAD_RECORD_LIFE`].
pub const KAD_REPUBLISH: Duration = Duration::from_secs(20 * 60);
/// Life of a provider record of another node.
pub const KAD_RECORD_LIFE: Duration = Duration::from_secs(60 * 60);
/// Providers kept for one key; more are ignored.
pub const KAD_PROVIDERS: usize = 20;
/// Provider records kept for others; more are dropped and counted.
pub const KAD_RECORDS: usize = 1_024;
/// Of these, records of one peer: as many as it may have capabilities.
pub const KAD_RECORDS_PER_PEER: usize = meshwork_core::limits::LABELS;
/// How soon after the last time what is provided is told again because Kademlia met a new peer.
pub const KAD_PROVIDE_PAUSE: Duration = Duration::from_secs(60);

// --- The loop --------------------------------------------------------------------------------

/// Commands taken before the swarm gets its turn.
pub const COMMANDS_PER_TURN: usize = 16;
/// Peers up to which each change is published at once; larger tables at most each
/// [`PUBLISH_EVERY`], because publishing copies the table.
pub const PUBLISH_AT_ONCE: usize = 64;
/// See [`PUBLISH_AT_ONCE`].
pub const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// How long [`Network::build`](crate::build::Network::build) waits for the first listener.
pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits for the other listeners after that.
pub const LISTEN_GRACE: Duration = Duration::from_secs(1);
/// How long a stopping node waits for its connections to close.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);
