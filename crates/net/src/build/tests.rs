use libp2p::PeerId;

use super::*;
use crate::{Offer, identity};

fn config() -> NetConfig {
    NetConfig {
        keypair: identity::ephemeral(),
        boot: 1,
        network: "main".to_owned(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        remembered: Vec::new(),
        blocked: std::collections::HashSet::new(),
        bootstrap: Vec::new(),
        lan: Vec::new(),
        mdns: false,
        max_peers: limits::DEFAULT_MAX_PEERS,
        connection_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(15),
        protocol_timeout: Duration::from_secs(10),
        offer: Offer::default(),
    }
}

/// The field that is refused, and the error message.
fn refusal(change: impl FnOnce(&mut NetConfig)) -> (String, String) {
    let mut config = config();
    change(&mut config);
    let error = config.check().expect_err("this must be refused");
    let text = error.to_string();
    match error {
        BuildError::Config { field, .. } => (field.to_owned(), text),
        BuildError::ListenAddress { .. } => ("listen".to_owned(), text),
        BuildError::PortTaken { .. }
        | BuildError::Listen { .. }
        | BuildError::ListenTimeout(_)
        | BuildError::Transport { .. } => panic!("{text}"),
    }
}

#[test]
fn each_field_is_checked_with_reason_and_remedy() {
    config().check().unwrap();
    let many = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap(); limits::CONFIGURED_ADDRESSES + 1];
    let own = config().keypair;
    let own_address = format!("/ip4/1.2.3.4/tcp/1/p2p/{}", own.public().to_peer_id());
    type Change = Box<dyn FnOnce(&mut NetConfig)>;
    let boot = |text: &str| -> Change {
        let address = text.parse().unwrap();
        Box::new(move |config| config.bootstrap = vec![address])
    };
    let cases: Vec<(&str, &str, Change)> = vec![
        ("network", "a-z", Box::new(|c| c.network = String::new())),
        ("network", "a-z", Box::new(|c| c.network = "Main".to_owned())),
        ("network", "a-z", Box::new(|c| c.network = "a/b".to_owned())),
        ("network", "1 to 64", Box::new(|c| c.network = "x".repeat(65))),
        ("max_peers", "1 to 1024", Box::new(|c| c.max_peers = 0)),
        ("max_peers", "1 to 1024", Box::new(|c| c.max_peers = limits::MAX_PEERS + 1)),
        ("connection_timeout", "100ms to", Box::new(|c| c.connection_timeout = Duration::ZERO)),
        ("ping_interval", "to 600s", Box::new(|c| c.ping_interval = Duration::MAX)),
        ("protocol_timeout", "100ms to", Box::new(|c| c.protocol_timeout = Duration::ZERO)),
        (
            "listen",
            "/ip4/ADDRESS/tcp/PORT",
            Box::new(|c| c.listen = vec!["/dns/a/tcp/1".parse().unwrap()]),
        ),
        (
            "listen",
            "remove one",
            Box::new(|c| c.listen = vec!["/ip4/0.0.0.0/tcp/1".parse().unwrap(); 2]),
        ),
        ("listen_addresses", "at most 64", {
            let many = many.clone();
            Box::new(move |c| c.listen = many)
        }),
        ("bootstrap_peers", "at most 64", Box::new(move |c| c.bootstrap = many)),
        ("bootstrap_peers", "/quic-v1", boot("/ip4/1.2.3.4/udp/1")),
        ("bootstrap_peers", "port 0", boot("/ip4/1.2.3.4/tcp/0")),
        ("bootstrap_peers", "machine", boot("/ip4/0.0.0.0/tcp/1")),
        (
            "bootstrap_peers",
            "itself",
            Box::new(move |c| {
                c.keypair = own;
                c.bootstrap = vec![own_address.parse().unwrap()];
            }),
        ),
    ];
    for (field, remedy, change) in cases {
        let (found, text) = refusal(change);
        assert_eq!(found, field, "{text}");
        assert!(text.contains(remedy), "{field}: {text}");
    }
}

#[test]
fn addresses_of_all_kinds_are_accepted() {
    let peer = PeerId::random();
    let mut config = config();
    config.listen = ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/4101/quic-v1"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    config.bootstrap = [
        "/dns4/bee.lan/tcp/4101".to_owned(),
        "/dnsaddr/bee.lan".to_owned(),
        format!("/ip6/::1/udp/4101/quic-v1/p2p/{peer}"),
        "/ip4/127.0.0.1/tcp/4101".to_owned(),
    ]
    .map(|text| text.parse().unwrap())
    .to_vec();
    config.max_peers = limits::MAX_PEERS;
    config.check().unwrap();
}
