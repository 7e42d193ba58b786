//! Measurements of peers affect placement, and messages of peers are shown.

use std::time::Duration;

use super::{Net, output, task};
use crate::{
    NetworkMessage, ResourceUsage,
    engine::{Input, Observed, view::Obstacle},
    limits,
};

fn usage(cpu_used: f32, free: u64) -> ResourceUsage {
    ResourceUsage { cpu_used, memory_bytes: 1_000, memory_free_bytes: free, ..Default::default() }
}

fn measure(
    net: &mut Net,
    index: usize,
    round_trip: Option<Duration>,
    usage: Option<ResourceUsage>,
) {
    let peer = net.nodes[index].id;
    // A single round trip is not used.
    for _ in 0..2 {
        net.feed(0, Input::PeerMeasured { peer, round_trip, usage });
    }
    net.settle();
}

/// Where the next task runs when both workers are idle.
fn runs_at(net: &mut Net) -> usize {
    net.submit(task("text/a"));
    let at = (1..net.nodes.len()).find(|index| !net.nodes[*index].running.is_empty()).unwrap();
    net.finish(at, output("done"));
    at
}

#[test]
fn results_raise_reputation_and_losses_lower_it() {
    let mut net = Net::connected(&[1]);
    let reputation = |net: &Net| net.nodes[0].engine.load(&net.nodes[1].id).reputation;
    assert_eq!(reputation(&net), 0);
    for _ in 0..120 {
        net.submit(task("text/a"));
        net.finish(1, output("done"));
    }
    assert_eq!(reputation(&net), 100, "100 is the maximum");
    net.submit(task("text/a"));
    // The worker is suspended beyond its lease.
    net.now = net.now + limits::LEASE + Duration::from_secs(1);
    net.feed(0, Input::Tick);
    assert_eq!(reputation(&net), 90);
}

#[test]
fn worker_with_the_shorter_round_trip_is_chosen() {
    let mut net = Net::connected(&[1, 1]);
    measure(&mut net, 1, Some(Duration::from_millis(40)), None);
    measure(&mut net, 2, Some(Duration::from_millis(3)), None);
    assert_eq!(runs_at(&mut net), 2);
    measure(&mut net, 1, Some(Duration::from_micros(10)), None);
    assert_eq!(runs_at(&mut net), 1);
    measure(&mut net, 2, Some(Duration::MAX), None);
    assert_eq!(runs_at(&mut net), 1, "an absurd value does no harm");
}

#[test]
fn single_slow_round_trip_is_ignored() {
    let mut net = Net::connected(&[1, 1]);
    let once = |net: &mut Net, index: usize, ms| {
        let peer = net.nodes[index].id;
        let round_trip = Some(Duration::from_millis(ms));
        net.feed(0, Input::PeerMeasured { peer, round_trip, usage: None });
    };
    for (first, then) in [(1, 2), (2, 1)] {
        // Both are near, and then the first is slow once.
        for round_trip in [0, 0, 900] {
            once(&mut net, first, round_trip);
        }
        for _ in 0..2 {
            once(&mut net, then, 1);
        }
        assert_eq!(runs_at(&mut net), first);
        once(&mut net, first, 900);
        assert_eq!(runs_at(&mut net), then, "two slow round trips count");
    }
}

#[test]
fn worker_with_idle_cpus_is_preferred() {
    let mut net = Net::connected(&[1, 1]);
    // Both have the same learned run time.
    for _ in 0..2 {
        net.submit(task("text/a"));
    }
    net.finish(1, output("done"));
    net.finish(2, output("done"));
    measure(&mut net, 1, None, Some(usage(0.95, 1_000)));
    measure(&mut net, 2, None, Some(usage(0.05, 1_000)));
    assert_eq!(runs_at(&mut net), 2);
    measure(&mut net, 1, None, Some(usage(0.0, 1_000)));
    measure(&mut net, 2, None, Some(usage(1.0, 1_000)));
    assert_eq!(runs_at(&mut net), 1);
}

#[test]
fn memory_in_use_does_not_meet_requirements() {
    let mut net = Net::connected(&[1]);
    let mut with_memory = super::advert(1);
    with_memory.capacity.memory_bytes = 1_000;
    let worker = net.nodes[1].id;
    net.feed(0, Input::PeerReady { peer: worker, advert: with_memory });
    measure(&mut net, 1, None, Some(usage(0.0, 100)));
    let mut needy = task("text/a");
    needy.requirements.memory_bytes = 500;
    let id = net.submit(needy);
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    assert!(waiting.peers.iter().any(|(peer, obstacle)| *peer == worker
        && matches!(obstacle, Obstacle::Requirement { what: "memory", detail } if detail.contains("100 B free of the 500 B needed"))));
    measure(&mut net, 1, None, Some(usage(0.0, 600)));
    assert_eq!(net.state(id), "running");
}

#[test]
fn observer_sees_tasks_and_results_of_peers() {
    let mut net = Net::connected(&[1]);
    for index in 0..2 {
        net.nodes[index].engine.observe(Observed { tasks: false, messages: true });
    }
    let id = net.submit(task("text/a").with_param("n", 3));
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    let [NetworkMessage::TaskDistribution { task_id, task: seen, target_peers }] =
        net.nodes[1].messages.as_slice()
    else {
        panic!("{:?}", net.nodes[1].messages)
    };
    assert_eq!((*task_id, target_peers.as_slice()), (id, [worker].as_slice()));
    assert_eq!(seen.handler().unwrap().as_str(), "text/a");
    assert_eq!((seen.input.size(), seen.params["n"].as_str()), (5, "3"));
    assert!(net.nodes[0].messages.is_empty());
    net.finish(1, output("done"));
    let [NetworkMessage::TaskResult { task_id, result, source_peer }] =
        net.nodes[0].messages.as_slice()
    else {
        panic!("{:?}", net.nodes[0].messages)
    };
    assert_eq!((*task_id, *source_peer), (id, worker));
    assert_eq!(result.output, "done");
    assert_ne!(owner, worker);
}

#[test]
fn local_task_emits_no_network_message() {
    let mut net = Net::new(&[1]);
    net.nodes[1].engine.observe(Observed { tasks: false, messages: true });
    net.submit_to(1, task("text/a"), &[]);
    net.finish(1, output("done"));
    assert!(net.nodes[1].messages.is_empty());
}
