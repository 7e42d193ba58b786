//! Every field of the configuration: its effect, and the error when it is out of range.
//!
//! Elsewhere: peers that `mdns` finds, in network namespaces (`crates/cli/tests/it/near.rs`). To
//! test a short time, a test repeats the wait so often that the default would exceed its bound.

use std::{collections::BTreeSet, time::Duration};

use meshwork_core::{
    Accept, AcceptPolicy, Durability, PeerState, Reason, Stuck, Task, TaskEnd,
    engine::view::TaskView, limits,
};
use meshwork_node::{
    Identity, NetworkConfig, NetworkError, NetworkEvent, NetworkManager, Offered, TaskError,
    TaskSettings,
};
use meshwork_testkit::{
    Spec, TestNode, eventually,
    hostile::{
        Channel, Hostile,
        message::{AssignBatch, Credit, ToOwner, ToWorker, to_owner, to_worker},
    },
    within,
};

use crate::support::{output, sleep, task};

mod ranges;

/// Number of repetitions: with the default of any of these times, they exceed the bound of a wait.
const OFTEN: usize = 30;
const SHORT: Duration = Duration::from_millis(100);

fn loopback() -> NetworkConfig {
    NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        mdns: false,
        ..NetworkConfig::default()
    }
}

/// Two ready nodes, of which the second has connected to the first.
async fn pair(first: NetworkConfig, second: NetworkConfig) -> (TestNode, TestNode) {
    let first = TestNode::configured(first).await;
    let bootstrap_peers = vec![first.address()];
    let second = TestNode::configured(NetworkConfig { bootstrap_peers, ..second }).await;
    second.ready(first.id()).await;
    first.ready(second.id()).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listen_addrs_are_the_addresses_of_the_node() {
    let udp = "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap();
    let mut config = loopback();
    config.listen_addrs.push(udp);
    let node = TestNode::configured(config).await;
    let addresses: Vec<String> =
        node.manager().addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert!(addresses.iter().any(|address| address.starts_with("/ip4/127.0.0.1/tcp/")));
    assert!(addresses.iter().any(|address| address.contains("/quic-v1")));
    let none = TestNode::configured(NetworkConfig { listen_addrs: vec![], ..loopback() }).await;
    assert!(none.manager().addresses().is_empty());
    assert!(none.manager().status().unwrap().uptime < Duration::from_secs(3_600));
    none.shutdown().await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_peers_are_connected_to() {
    let (first, second) = pair(loopback(), loopback()).await;
    assert_eq!(second.peer(first.id()).await.unwrap().state, PeerState::Ready);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_of_one_lan_find_each_other_through_a_third() {
    let on_lan = || NetworkConfig { lan: vec!["127.0.0.0/8".parse().unwrap()], ..loopback() };
    let (hub, first) = pair(on_lan(), on_lan()).await;
    let bootstrap_peers = vec![hub.address()];
    let second = TestNode::configured(NetworkConfig { bootstrap_peers, ..on_lan() }).await;
    eventually("the two are connected", &[&first, &second], async || {
        let ready = first.peer(second.id()).await?.state == PeerState::Ready;
        ready.then_some(())
    })
    .await;
    for node in [hub, first, second] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_max_peers_are_admitted() {
    let full = NetworkConfig { max_peers: 1, ..loopback() };
    let (full, first) = pair(full, loopback()).await;
    let bootstrap_peers = vec![full.address()];
    let late = TestNode::configured(NetworkConfig { bootstrap_peers, ..loopback() }).await;
    stuck(&late, &full, "its maximum").await;
    assert_eq!(first.peer(full.id()).await.unwrap().state, PeerState::Ready);
    for node in [full, first, late] {
        node.shutdown().await;
    }
}

/// Waits until `node` and `other` know that they cannot cooperate, for this reason.
async fn stuck(node: &TestNode, other: &TestNode, reason: &str) {
    eventually(&format!("refused: {reason}"), &[node], async || {
        let state = node.peer(other.id()).await?.state;
        match state {
            PeerState::Admitted(why) | PeerState::Connected(why) => match why {
                Stuck::TheyRefused(why) | Stuck::WeRefused(why) => {
                    why.contains(reason).then_some(())
                }
                _ => None,
            },
            _ => None,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_timeout_bounds_a_dial() {
    let node =
        TestNode::configured(NetworkConfig { connection_timeout: SHORT, ..loopback() }).await;
    within("dials of silent listeners", async {
        for _ in 0..OFTEN {
            let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = silent.local_addr().unwrap().port();
            let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
            let error = node.manager().dial(address).await.unwrap_err();
            assert!(matches!(error, NetworkError::ConnectionError(_)), "{error:?}");
        }
    })
    .await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping_interval_sets_the_rate_of_echoes() {
    let quick = NetworkConfig { ping_interval: SHORT, ..loopback() };
    let (first, second) = pair(quick, loopback()).await;
    let mut events = first.manager().subscribe();
    within("round trips", async {
        let mut measured = 0;
        while measured < OFTEN {
            let event = events.next().await.expect("the node runs");
            measured += usize::from(matches!(event, NetworkEvent::PeerUpdated { .. }));
        }
    })
    .await;
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocol_timeout_bounds_an_answer() {
    let protocol_timeout = Duration::from_millis(300);
    let node = TestNode::configured(NetworkConfig { protocol_timeout, ..loopback() }).await;
    // It supports only the hello and task protocols.
    let mute = Hostile::worker(&node, 1, &[]).await;
    let answer = within("an answer", node.manager().ping(mute.id())).await;
    let after = match answer.unwrap_err() {
        NetworkError::TimeoutError { after, .. } => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after, protocol_timeout);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_and_home_outlive_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (home, key) = (dir.path().join("home"), dir.path().join("key"));
    let config = NetworkConfig { identity: Identity::File(key), home: Some(home), ..loopback() };
    let friend = TestNode::configured(loopback()).await;
    let node = TestNode::configured(config.clone()).await;
    let id = node.id();
    node.trust(friend.id()).await;
    let error = NetworkManager::new(config.clone()).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "two nodes on one home: {error}");
    node.shutdown().await;
    drop(node);
    // The home is free when the last task of the node has ended.
    let again = eventually("the home is free", &[], async || {
        NetworkManager::new(config.clone()).await.ok()
    })
    .await;
    assert_eq!(again.local_peer_id(), id, "the key is read from the file");
    again.start().await.unwrap();
    again.dial(friend.address()).await.unwrap();
    let trusted = eventually("the friend is known", &[], async || {
        let peers = again.get_peers().await.unwrap();
        peers.iter().find(|peer| peer.peer_id == friend.id()).map(|peer| peer.trusted)
    })
    .await;
    assert!(trusted, "trusted peers are kept in the home");
    let other = NetworkManager::new(loopback()).await.unwrap();
    assert_ne!(other.local_peer_id(), id, "without a file each start makes a new key");
    again.shutdown().await.unwrap();
    friend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_owner_starts_with_new_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::File(dir.path().join("identity.key"));
    let worker = TestNode::start(Spec::worker(Accept::Anyone)).await;
    let spec = Spec { identity, ..Spec::owner() }.joining(&worker);
    let mut last = None;
    for word in ["one", "two"] {
        let owner = TestNode::start(spec.clone()).await;
        owner.offered(worker.id(), "text").await;
        let end = owner.run(task("text/upper").with_input(word), &[worker.id()]).await;
        assert_eq!(output(end), word.to_uppercase());
        owner.shutdown().await;
        worker.until_disconnected(owner.id()).await;
        assert!(last.replace(owner.id()).is_none_or(|before| before == owner.id()));
    }
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_another_network_are_refused() {
    let other = TestNode::configured(NetworkConfig { network: "other".to_owned(), ..loopback() });
    let other = other.await;
    let bootstrap_peers = vec![other.address()];
    let node = TestNode::configured(NetworkConfig { bootstrap_peers, ..loopback() }).await;
    stuck(&node, &other, "the peer in \"other\"").await;
    node.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_and_advert_reach_peers_and_decide_placement() {
    let offered = Offered {
        slots: Some(3),
        cpus: Some(5),
        memory_bytes: Some(1 << 33),
        disk_bytes: None,
        gpus: 2,
        capabilities: BTreeSet::from(["ocr".to_owned()]),
        labels: [("site".to_owned(), "attic".to_owned())].into(),
    };
    let worker = NetworkConfig {
        name: Some("bee".to_owned()),
        accept: AcceptPolicy::default().with("text", Accept::Anyone),
        offered: offered.clone(),
        ..loopback()
    };
    let nothing = Offered { slots: Some(0), ..Offered::default() };
    let (worker, owner) = pair(worker, NetworkConfig { offered: nothing, ..loopback() }).await;
    let advert = owner.ready(worker.id()).await;
    assert_eq!(advert.name, "bee");
    assert_eq!((advert.capabilities, advert.labels), (offered.capabilities, offered.labels));
    let capacity = advert.capacity;
    assert_eq!((capacity.slots, capacity.cpus, capacity.gpus), (3, 5, 2));
    assert_eq!(capacity.memory_bytes, 1 << 33);

    owner.trust(worker.id()).await;
    type Need = fn(&mut Task, bool);
    let needs: [(&str, Need); 5] = [
        ("capability", |task, is_met| {
            task.requirements.capabilities.push(if is_met { "ocr" } else { "tts" }.to_owned());
        }),
        ("label", |task, is_met| {
            let value = if is_met { "attic" } else { "cellar" }.to_owned();
            task.requirements.labels.insert("site".to_owned(), value);
        }),
        ("cpus", |task, is_met| task.requirements.cpus = if is_met { 5 } else { 6 }),
        ("memory", |task, is_met| {
            task.requirements.memory_bytes = if is_met { 1 } else { 1 << 34 }
        }),
        ("gpus", |task, is_met| task.requirements.gpus = if is_met { 2 } else { 3 }),
    ];
    for (what, need) in needs {
        let mut met = task("text/upper").with_input("a");
        need(&mut met, true);
        assert_eq!(output(owner.run(met, &[]).await), "A", "{what}");
        let mut unmet = task("text/upper").with_input("a");
        need(&mut unmet, false);
        let waits = owner.submit(unmet, &[]).await;
        let obstacle = |view: &TaskView| {
            let peers = &view.waiting.as_ref()?.peers;
            let found = peers.iter().find(|(peer, _)| *peer == worker.id());
            found.map(|(_, obstacle)| format!("{obstacle:?}"))
        };
        let why = owner.task_until(waits.id(), "it waits", obstacle).await;
        assert!(why.contains(what), "{what}: {why}");
        waits.cancel().await.unwrap();
    }
    worker.shutdown().await;
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accept_and_trusted_decide_where_tasks_run() {
    let key = tempfile::tempdir().unwrap();
    let identity = Identity::File(key.path().join("key"));
    let owner = NetworkConfig {
        identity,
        offered: Offered { slots: Some(0), ..Offered::default() },
        ..loopback()
    };
    // The owner's id, for the worker's list.
    let id = NetworkManager::new(owner.clone()).await.unwrap().local_peer_id();
    for (accept, listed, runs) in [
        (Accept::Nobody, true, false),
        (Accept::Listed, false, false),
        (Accept::Listed, true, true),
        (Accept::Anyone, false, true),
    ] {
        let worker = TestNode::configured(NetworkConfig {
            accept: AcceptPolicy::default().with("text", accept),
            trusted: if listed { vec![id] } else { vec![] },
            ..loopback()
        })
        .await;
        let owner = TestNode::configured(NetworkConfig {
            bootstrap_peers: vec![worker.address()],
            trusted: vec![worker.id()],
            ..owner.clone()
        })
        .await;
        owner.ready(worker.id()).await;
        let end = owner.run(task("text/upper").with_input("a"), &[worker.id()]).await;
        assert_eq!(matches!(end, TaskEnd::Succeeded(_)), runs, "{accept:?} {listed}: {end:?}");
        if runs {
            // The task has no target: it goes there because the owner trusts the worker.
            assert_eq!(output(owner.run(task("text/upper").with_input("b"), &[]).await), "B");
        }
        owner.shutdown().await;
        worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_ends_the_attempt_of_a_silent_worker() {
    let tasks =
        TaskSettings { lease: Duration::from_secs(1), heartbeat: SHORT, ..TaskSettings::default() };
    let offered = Offered { slots: Some(0), ..Offered::default() };
    let owner = TestNode::configured(NetworkConfig { tasks, offered, ..loopback() }).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut hostile = Hostile::worker(&owner, 1, &["text/upper"]).await;
        let waits = owner.submit(task("text/upper"), &[hostile.id()]).await;
        let mut session = hostile.next_session().await;
        session.send(&ToOwner::from(to_owner::Kind::Credit(Credit::some()))).await.unwrap();
        // One after the other: four times the default lease is more than any wait here.
        owner
            .task_until(waits.id(), "the lease is over", |view| {
                view.attempts.first()?.end.as_ref().map(|_| ())
            })
            .await;
        silent.push((hostile, session));
        waits.cancel().await.unwrap();
    }
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeat_sets_the_rate_of_a_workers_reports() {
    let tasks = TaskSettings { heartbeat: SHORT, ..TaskSettings::default() };
    let accept = AcceptPolicy::default().with("debug", Accept::Anyone);
    let worker = TestNode::configured(NetworkConfig { tasks, accept, ..loopback() }).await;
    let owner = Hostile::admitted(&worker).await;
    let mut session = owner.granted_session().await;
    let mut batch = AssignBatch::one(1, "debug/sleep", "");
    batch.assignments[0].params.insert("ms".to_owned(), "3600000".to_owned());
    session.send(&ToWorker::from(to_worker::Kind::Assign(batch))).await.unwrap();
    within("heartbeats", async {
        let mut heartbeats = 0;
        while heartbeats < OFTEN {
            heartbeats += usize::from(is_heartbeat(&mut session).await);
        }
    })
    .await;
    worker.shutdown().await;
}

async fn is_heartbeat(session: &mut Channel) -> bool {
    let message = session.recv::<ToOwner>().await.expect("the session lives");
    matches!(message.kind, Some(to_owner::Kind::Heartbeat(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_tasks_are_bounded_as_configured() {
    let tasks = |max_owned, keep_bytes| NetworkConfig {
        tasks: TaskSettings { max_owned, keep_bytes, ..TaskSettings::default() },
        ..loopback()
    };
    let one = TestNode::configured(tasks(1, limits::KEEP_BYTES)).await;
    let first = one.submit(sleep(3_600_000), &[]).await;
    let refused = one.manager().distribute_task(task("text/upper"), vec![]).await.unwrap_err();
    assert_eq!(refused.code(), "queue_full", "{refused}");
    first.cancel().await.unwrap();
    one.shutdown().await;

    let node = TestNode::configured(tasks(10, 64 << 10)).await;
    let mut ids = Vec::new();
    for _ in 0..70 {
        let handle = node.submit(task("text/upper").with_input("a".repeat(1_000)), &[]).await;
        ids.push(handle.id());
        let end = within("the end of a task", handle.end()).await.unwrap();
        assert_eq!(output(end).len(), 1_000);
    }
    let mut known = Vec::new();
    for id in &ids {
        match node.manager().task(*id).await {
            Ok(view) => known.extend(view.map(|view| view.id)),
            Err(error) => assert_eq!(error.code(), "forgotten", "{error}"),
        }
    }
    assert!((60..=64).contains(&known.len()), "each counts 1 KiB: {}", known.len());
    assert!(ids.ends_with(&known), "the latest are kept: {known:?} of {ids:?}");
    let gone = node.manager().wait_task(ids[0]).await.unwrap_err();
    assert!(matches!(gone, TaskError::Refused(Reason::Forgotten { .. })), "{gone:?}");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_results_bounds_the_life_of_an_ended_task() {
    let tasks = TaskSettings { keep_results: Duration::from_secs(1), ..TaskSettings::default() };
    let node = TestNode::configured(NetworkConfig { tasks, ..loopback() }).await;
    let handle = node.submit(task("text/upper").with_input("a"), &[]).await;
    let id = handle.id();
    assert_eq!(output(handle.end().await.unwrap()), "A");
    eventually("it is forgotten", &[&node], async || {
        let gone = node.manager().task(id).await.err()?;
        (gone.code() == "forgotten").then_some(())
    })
    .await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durability_decides_which_tasks_outlive_the_node() {
    for (durability, own, outlives) in [
        (Durability::Memory, None, false),
        (Durability::Disk, None, true),
        (Durability::Memory, Some(Durability::Disk), true),
        (Durability::Disk, Some(Durability::Memory), false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let config = NetworkConfig { durability, home: Some(home.path().to_owned()), ..loopback() };
        let nothing = Offered { slots: Some(0), ..Offered::default() };
        let first = NetworkConfig { offered: nothing, ..config.clone() };
        let first = TestNode::configured(first).await;
        let kept = Task { durability: own, ..task("text/upper").with_input("kept") };
        let id = first.submit(kept, &[]).await.id();
        first.shutdown().await;
        drop(first);
        let again = eventually("the home is free", &[], async || {
            NetworkManager::new(config.clone()).await.ok()
        })
        .await;
        again.start().await.unwrap();
        match again.wait_task(id).await {
            Ok(end) => assert!(outlives && output(end) == "KEPT", "{durability:?} {own:?}"),
            Err(error) => {
                assert!(matches!(error, TaskError::Refused(Reason::NotFound)), "{error}");
                assert!(!outlives, "{durability:?} {own:?}");
            }
        }
        again.shutdown().await.unwrap();
    }
    let homeless = TestNode::configured(loopback()).await;
    let durable = Task { durability: Some(Durability::Disk), ..task("text/upper") };
    let error = homeless.manager().distribute_task(durable, vec![]).await.unwrap_err();
    assert!(error.to_string().contains("no home"), "{error}");
    homeless.shutdown().await;
}
