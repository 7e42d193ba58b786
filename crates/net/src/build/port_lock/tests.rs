//! Tests of simultaneous starts.

use std::sync::{Arc, Barrier};

use super::*;
use crate::{BuildError, Clock, NetConfig, Network, Offer, identity};

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_port_is_locked_for_one_start_at_a_time() {
    let (one, other) = (address(free_port()), address(free_port()));
    let held = PortLocks::take(std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(PortLocks::take(&[other.clone(), one.clone()]).await.unwrap_err(), one);
    PortLocks::take(&[other]).await.expect("another port; the failed attempt released its lock");
    drop(held);
    PortLocks::take(&[one]).await.expect("the lock was released");
}

#[test]
fn only_fixed_tcp_ports_are_locked() {
    let all = [
        "/ip4/127.0.0.1/tcp/7",
        "/ip6/::/tcp/7",
        "/ip4/127.0.0.1/tcp/0",
        "/ip4/127.0.0.1/udp/9/quic-v1",
    ];
    assert_eq!(ports(&all.map(|text| text.parse().unwrap())), BTreeSet::from([7]));
}

fn config(port: u16) -> NetConfig {
    NetConfig {
        keypair: identity::ephemeral(),
        boot: 1,
        network: "test".to_owned(),
        listen: vec![address(port)],
        remembered: Vec::new(),
        blocked: std::collections::HashSet::new(),
        bootstrap: Vec::new(),
        lan: Vec::new(),
        mdns: false,
        max_peers: 8,
        connection_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(15),
        protocol_timeout: Duration::from_secs(10),
        offer: Offer::default(),
    }
}

#[test]
fn simultaneous_starts_do_not_share_a_port() {
    let mut rounds_with_one = 0;
    for _ in 0..20 {
        let port = free_port();
        // Both start at once, and neither ends before both have started or failed.
        let (start, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let node = || {
            let (start, end) = (Arc::clone(&start), Arc::clone(&end));
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                start.wait();
                let built = runtime.block_on(Network::build(config(port), Clock::new()));
                end.wait();
                match built {
                    Ok(_) => true,
                    Err(BuildError::PortTaken { .. }) => false,
                    Err(error) => panic!("{error}"),
                }
            })
        };
        let nodes = [node(), node()];
        let started = nodes.map(|node| node.join().unwrap());
        let count = started.iter().filter(|started| **started).count();
        assert!(count <= 1, "they share port {port}");
        rounds_with_one += count;
    }
    // Another process may take a port in between.
    assert!(rounds_with_one > 10);
}
