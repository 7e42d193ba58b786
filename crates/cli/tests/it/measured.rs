//! `meshwork metrics` under load, compared with the traffic.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bytes::Bytes;
use meshwork_api::{Client, Payload, TaskSpec};
use rustix::process::Signal;

use crate::support::{Node, eventually};

const TASKS: usize = 300;
const BYTES: usize = 8_000;

/// The metrics by name with labels.
pub(crate) fn page(node: &Node) -> BTreeMap<String, f64> {
    let answer = node.ask(&["metrics"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let lines = answer.stdout.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of all entries of this name whose labels contain all of `labels`.
pub(crate) fn sum(page: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let of_name = |entry: &str| {
        let (found, rest) = entry.split_once('{').unwrap_or((entry, ""));
        found == name && labels.iter().all(|label| rest.contains(label))
    };
    page.iter().filter(|(entry, _)| of_name(entry)).map(|(_, value)| value).sum()
}

async fn run(socket: &Path, target: &str) {
    let client = Client::new(socket);
    let lanes = (0..10).map(async |_| {
        for _ in 0..TASKS / 10 {
            let mut spec = TaskSpec::new("debug/echo");
            spec.input = Some(Payload::of(Bytes::from(vec![b'x'; BYTES])));
            spec.targets = vec![target.to_owned()];
            let task = client.submit(&spec, Duration::from_secs(60)).await.unwrap();
            assert_eq!(task.state, "succeeded".into(), "{task:?}");
        }
    });
    futures::future::join_all(lanes).await;
}

#[test]
fn all_nine_metrics_agree_with_the_traffic() {
    let owner = Node::up(&["--name", "ant", "--slots", "0"]);
    let bootstrap = ["--bootstrap", owner.address()];
    let worker = Node::up(&[&["--name", "bee", "--accept", "anyone"], &bootstrap[..]].concat());
    owner.until_ready(worker.text("peer"));
    // One error, which the metrics count by its type.
    assert_ne!(owner.ask(&["peers", "dial", "/ip4/127.0.0.1/tcp/1"]).code, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(Path::new(owner.text("socket")), "bee"));

    let (at_owner, at_worker) = (page(&owner), page(&worker));
    let tasks = TASKS as f64;
    for (page, name, kind) in [
        (&at_owner, "network_messages_sent", "kind=\"assign\""),
        (&at_worker, "network_messages_received", "kind=\"assign\""),
        (&at_worker, "network_messages_sent", "kind=\"result\""),
        (&at_owner, "network_messages_received", "kind=\"result\""),
    ] {
        assert_eq!(sum(page, name, &["protocol=\"task\"", kind]), tasks, "{name} {kind}");
    }
    // In each direction, at least 95 % of the bytes are inputs or results.
    let payload = (TASKS * BYTES) as f64;
    for (page, direction) in [(&at_owner, "sent"), (&at_owner, "received")] {
        let direction = format!("direction=\"{direction}\"");
        let labels = ["protocol=\"task\"", direction.as_str()];
        let bytes = sum(page, "network_message_size_sum", &labels);
        assert!((payload..payload * 1.05).contains(&bytes), "{direction}: {bytes} of {payload}");
    }
    let bee = owner.ask(&["peers", "show", "bee", "--json"]).json();
    for direction in ["sent", "received"] {
        let bytes = bee["traffic"]["task"][direction].as_u64().unwrap() as f64;
        assert!((payload..payload * 1.05).contains(&bytes), "{direction}: {bytes} of {payload}");
    }
    assert_eq!(sum(&at_owner, "meshwork_tasks_ended_total", &["state=\"succeeded\""]), tasks);
    assert_eq!(sum(&at_owner, "meshwork_tasks_open", &[]), 0.0);
    assert_eq!(sum(&at_worker, "meshwork_attempts_executed_total", &[]), tasks);
    for page in [&at_owner, &at_worker] {
        assert_eq!(sum(page, "network_peers_total", &[]), 1.0);
        assert_eq!(sum(page, "network_peers_active", &[]), 1.0);
    }
    // Both ends measure the latency; at least one has a sample by now.
    let measured = |page| sum(page, "network_latency_count", &[]);
    assert!(measured(&at_owner) + measured(&at_worker) >= 1.0);
    assert!(sum(&at_owner, "network_errors_total", &[]) >= 1.0);
    assert!(sum(&at_owner, "network_errors_by_type", &["type=\"connection\""]) >= 1.0);
    // Bandwidth is an average over at least a second.
    std::thread::sleep(Duration::from_millis(1_100));
    let later = page(&owner);
    assert!(sum(&later, "network_bandwidth_sum", &["protocol=\"task\""]) > 0.0);
}

#[test]
fn connected_and_lost_peers_are_logged() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let shell = format!("export MESHWORK_LOG=info && exec 2>'{}'", log.display());
    let owner = Node::up_after(&shell, &["--name", "ant"]);
    let worker = Node::up(&["--name", "bee", "--bootstrap", owner.address()]);
    let id = worker.text("peer").to_owned();
    owner.until_ready(&id);
    worker.end(Signal::TERM);
    let lines = ["Listening on /ip4/127.0.0.1/tcp/".to_owned()]
        .into_iter()
        .chain(["Connected to", "Disconnected from"].map(|what| format!("{what} peer {id}")));
    for line in lines {
        eventually(&format!("{line} is logged"), || {
            std::fs::read_to_string(&log).unwrap().contains(&line)
        });
    }
}
