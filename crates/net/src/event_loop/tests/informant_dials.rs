//! Tests of the dials that an informant can cause: P-11 and P-12.

use std::{path::Path, process::Command};

use meshwork_core::{Advert, discovery::leads::PeerAdvert};

use super::{places::FAR, *};
use crate::{
    event_loop::{dialer::Attempt, dials::Kind},
    protocol::discovery::{talk::HeardAdvert, wire::SignedAdvert},
};

/// An advert of a new peer that claims these addresses, private ones included.
fn advert(addresses: &[String]) -> HeardAdvert {
    advert_of(&identity::ephemeral(), 1, addresses)
}

fn advert_of(key: &Keypair, seq: u64, addresses: &[String]) -> HeardAdvert {
    let content = PeerAdvert {
        peer: key.public().to_peer_id(),
        seq,
        age: Duration::ZERO,
        life: Duration::from_secs(600),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        advert: Advert::default(),
    };
    let signed = SignedAdvert::sign(key, "test", content).unwrap();
    let (network, advert) = signed.open().unwrap();
    HeardAdvert { network, advert, signed }
}

/// A node with these ranges, and a peer that is ready for it. Both listen on `ip` alone.
async fn pair(ip: &str, ranges: &[&str]) -> (Bench, Bench) {
    let mut node = Bench::listening(ip, 96, ranges).await;
    let mut peer = Bench::listening(ip, 8, &[]).await;
    let (reply, _) = oneshot::channel();
    peer.event_loop.on_dial_command(Caller { address: node.address(), reply });
    let id = peer.id();
    turn_until(&mut node, &mut peer, |node, _| node.settled_with(&id).is_some()).await;
    (node, peer)
}

impl Bench {
    /// The informant passes these adverts on, and the node runs as many mesh rounds as in some
    /// seconds.
    fn learn_from(&mut self, informant: &Self, adverts: Vec<HeardAdvert>) {
        self.event_loop.learn(adverts, informant.id());
        for _ in 0..3 {
            self.event_loop.mesh_round();
        }
    }
}

impl Bench {
    /// The number of dials on other peers' word within the last minute.
    fn dialled(&mut self) -> usize {
        self.event_loop.wires.swarm().behaviour_mut().kad.budget().dialled()
    }

    /// Runs turns until there were `count` dials on other peers' word, and checks that no more
    /// follow. Peers with smaller ids have some time to dial first.
    async fn dials(&mut self, count: usize) {
        within(async {
            while self.dialled() < count || !self.event_loop.dialer.is_idle() {
                self.turn().await;
            }
        })
        .await;
        for _ in 0..10 {
            self.event_loop.mesh_round();
        }
        assert_eq!(self.dialled(), count);
    }
}

/// A thousand hosts in each of the blocks outside every node's own network.
fn elsewhere() -> impl Iterator<Item = String> {
    const BLOCKS: [&str; 10] = [
        "/ip4/10.0.",
        "/ip4/192.168.",
        "/ip4/172.16.",
        "/ip4/100.64.",
        "/ip4/169.254.",
        "/ip4/224.0.",
        "/ip4/0.0.",
        "/ip6/::ffff:10.77.",
        "/ip6/64:ff9b::10.77.",
        "/ip6/2002:a4d:1:1::",
    ];
    BLOCKS.iter().flat_map(|block| {
        (0..1_000).map(move |n| {
            let host = format!("{}.{}", n / 250, n % 250 + 1);
            let host = if block.ends_with(':') { format!("{n:x}") } else { host };
            format!("{block}{host}/tcp/4101")
        })
    })
}

#[tokio::test]
async fn ten_thousand_addresses_outside_the_ranges_lead_to_no_dial() {
    let (mut node, peer) = pair("127.0.0.1", &["127.0.0.0/8"]).await;
    let adverts: Vec<HeardAdvert> = elsewhere().map(|address| advert(&[address])).collect();
    assert_eq!(adverts.len(), 10_000);
    for some in adverts.chunks(250) {
        node.learn_from(&peer, some.to_vec());
    }
    assert!(node.event_loop.dialer.is_idle());
    assert_eq!(node.handle.counters().dials_filtered, 0, "no address reached the filter");
}

#[tokio::test]
async fn node_on_a_network_dials_no_loopback_address() {
    let (mut node, peer) = pair("127.0.0.1", &[]).await;
    node.learn_from(&peer, vec![advert(&["/ip4/127.0.0.1/tcp/4101".to_owned()])]);
    assert!(node.event_loop.dialer.is_idle());
}

#[tokio::test]
async fn informant_causes_ten_dials_and_target_one() {
    let (mut node, peer) = pair("127.0.0.1", &["127.0.0.0/8"]).await;
    // Nobody listens there: a node of this machine may have the usual port.
    let free = std::net::TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap().port();
    let at = |host: u8| advert(&[format!("/ip4/127.0.0.{host}/tcp/{free}")]);
    node.learn_from(&peer, (0..100).map(|_| at(2)).collect());
    node.dials(1).await;
    let others = (3..100).map(at).collect();
    node.learn_from(&peer, others);
    node.dials(limits::NAMED_DIALS).await;
}

/// Whether a peer at `host` is expelled when it passes on an address that its subject signed for
/// another advert; with `again`, after the advert itself.
async fn is_expelled(host: &str, again: bool) -> bool {
    let mut node = Bench::in_ranges(96, &["10.0.0.0/8"]).await;
    let (key, informant) = (identity::ephemeral(), PeerId::random());
    node.connect_from(informant, FAR, host);
    node.admit(informant);
    let addresses = ["/ip4/10.0.1.1/tcp/4101".to_owned()];
    let [good, other] = [1, 2].map(|seq| advert_of(&key, seq, &addresses));
    let mut forged = good.clone();
    forged.signed = forged.signed.with_addresses_of(&other.signed);
    if again {
        node.event_loop.learn(vec![good], informant);
    }
    node.event_loop.learn(vec![forged], informant);
    node.event_loop.wires.swarm().behaviour().gate.is_expelled(&informant, Instant::now())
}

#[tokio::test]
async fn forged_private_address_is_a_violation_where_it_counts() {
    assert!(is_expelled("10.0.0.9", false).await);
    assert!(is_expelled("10.0.0.9", true).await, "a confirmation");
    assert!(!is_expelled("1.2.3.4", false).await, "dropped, not verified");
}

/// The number of dialled addresses of a target, out of 50 that an informant names one after the
/// other.
async fn dialled_at(kind: Kind) -> usize {
    let mut node = Bench::in_ranges(96, &["10.0.0.0/8"]).await;
    let (key, informant) = (identity::ephemeral(), PeerId::random());
    let peer = key.public().to_peer_id();
    node.connect_from(informant, FAR, "10.0.0.9");
    node.admit(informant);
    let target = node.event_loop.dialer.dials().add_peer(kind, peer, Vec::new()).unwrap();
    let mut count = 0;
    for n in 1..=50 {
        let address = format!("/ip4/10.0.1.{n}/tcp/4101");
        node.event_loop.learn(vec![advert_of(&key, n, std::slice::from_ref(&address))], informant);
        let EventLoop { dialer, exchange, listeners, shared, wires, .. } = &mut node.event_loop;
        let mut bounds = wires.bounds(listeners.lan(), exchange.leads());
        let named = dialer.better_addresses(kind, &peer, &bounds, shared);
        assert_eq!(named, [address.parse().unwrap()]);
        let (peer, expected) = (Some(peer), None);
        let mut attempt = Attempt { target, peer, expected, addresses: named };
        dialer.retain_affordable(&mut attempt, &mut bounds, shared);
        count += attempt.addresses.len();
    }
    count
}

#[tokio::test]
async fn persistent_peer_is_dialled_within_the_informants_budget() {
    assert_eq!(dialled_at(Kind::Persistent).await, limits::NAMED_DIALS);
    assert_eq!(dialled_at(Kind::Sought).await, 50, "tasks wait for it");
}

#[tokio::test]
async fn leads_do_not_prolong_the_dials_of_a_remembered_peer() {
    let mut node = Bench::in_ranges(96, &["10.0.0.0/8"]).await;
    let (key, informant) = (identity::ephemeral(), PeerId::random());
    let peer = key.public().to_peer_id();
    node.connect_from(informant, FAR, "10.0.0.9");
    node.admit(informant);
    let target = node.event_loop.dialer.dials().add_peer(Kind::Recalled, peer, Vec::new()).unwrap();
    for seq in 1..=u64::from(limits::RECALL_TRIES) {
        let address = format!("/ip4/10.0.1.{seq}/tcp/4101");
        node.event_loop.learn(vec![advert_of(&key, seq, &[address])], informant);
        node.event_loop.dialer.dials().failed(target, 0.0);
    }
    assert!(!node.event_loop.dialer.dials().wants(&peer));
}

/// The addresses that a node believes of a peer that connects from `host` and claims `claimed`.
async fn believed(ranges: &[&str], host: &str, claimed: &str) -> Vec<Multiaddr> {
    let mut node = Bench::in_ranges(96, ranges).await;
    let received = advert(&[claimed.to_owned()]);
    let peer = received.advert.peer;
    node.connect_from(peer, FAR, host);
    node.admit(peer);
    node.event_loop.learn(vec![received], peer);
    node.event_loop.shared.peers.get(&peer).unwrap().addresses.signed().cloned().collect()
}

#[tokio::test]
async fn internet_peer_cannot_name_a_private_host() {
    const INSIDE: &str = "/ip4/192.168.1.7/tcp/8080";
    let ranges = &["192.168.1.0/24", "10.0.0.0/8"];
    assert!(believed(ranges, "1.2.3.4", INSIDE).await.is_empty());
    assert!(believed(ranges, "10.0.0.7", INSIDE).await.is_empty(), "another range");
    assert_eq!(believed(ranges, "192.168.1.9", INSIDE).await, [INSIDE.parse().unwrap()]);
}

/// Runs in a network namespace with one wire, on which every packet that leaves the machine is
/// counted.
#[tokio::test]
async fn no_packet_leaves_for_an_address_outside_the_ranges() {
    let name =
        "event_loop::tests::informant_dials::no_packet_leaves_for_an_address_outside_the_ranges";
    if !is_inside(name) {
        return;
    }
    set_up_wire();
    let (mut node, peer) = pair("10.77.0.1", &[]).await;
    let before = packets_on_wire();
    let adverts: Vec<HeardAdvert> = elsewhere()
        // Without the addresses of this node's own network.
        .filter(|address| !address.starts_with("/ip4/10.77.0."))
        .map(|address| advert(&[address]))
        .collect();
    for some in adverts.chunks(250) {
        node.learn_from(&peer, some.to_vec());
    }
    assert!(node.event_loop.dialer.is_idle());
    assert_eq!(packets_on_wire(), before, "packets to other networks");
    // Check that the counter sees packets that leave by the same route.
    node.learn_from(&peer, vec![advert(&["/ip4/10.77.0.99/tcp/4101".to_owned()])]);
    within(async {
        while packets_on_wire() == before {
            tokio::select! {
                () = node.turn() => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    })
    .await;
}

/// Routes every packet for another machine to the wire, without neighbour discovery.
fn set_up_wire() {
    let run = |command: &str| {
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        assert!(command.args(words).status().unwrap().success(), "{command:?}");
    };
    // IPv6 announcements would be counted; a kernel without IPv6 sends none.
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").ok();
    for host in ["10.77.0.254", "10.77.0.99"] {
        run(&format!("ip neighbour replace {host} lladdr 02:00:00:00:00:01 dev wire0"));
    }
    run("ip route add default via 10.77.0.254");
}

/// The number of packets that arrived at the other end of the wire.
fn packets_on_wire() -> u64 {
    let table = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("wire1:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether this process is inside a network namespace; if not, runs the test again in one.
fn is_inside(test: &str) -> bool {
    const INSIDE: &str = "MESHWORK_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/in-namespace.sh");
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(script);
    command.arg(program).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        println!("not tested here: {errors}");
        return false;
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}{errors}");
    false
}
