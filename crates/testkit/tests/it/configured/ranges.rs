//! A value out of range is refused, with the field's name and the allowed range.

use super::*;

type Change = Box<dyn Fn(&mut NetworkConfig)>;

/// Fields, each with a change that puts it out of its range.
fn out_of_range() -> Vec<(&'static str, Change)> {
    fn case(
        field: &'static str,
        change: impl Fn(&mut NetworkConfig) + 'static,
    ) -> (&'static str, Change) {
        (field, Box::new(change))
    }
    let address = |port: usize| format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let texts = |count: usize| (0..count).map(|text| text.to_string()).collect::<Vec<_>>();
    vec![
        case("listen_addrs", move |c| c.listen_addrs = (1..18).map(address).collect()),
        case("tcp/1/ws", |c| c.listen_addrs = vec!["/ip4/1.2.3.4/tcp/1/ws".parse().unwrap()]),
        case("bootstrap_peers", move |c| c.bootstrap_peers = (1..66).map(address).collect()),
        case("bootstrap_peers", move |c| c.bootstrap_peers = vec![address(0)]),
        case("max_peers", |c| c.max_peers = 0),
        case("max_peers", |c| c.max_peers = 1_025),
        case("connection_timeout", |c| c.connection_timeout = Duration::ZERO),
        case("connection_timeout", |c| c.connection_timeout = Duration::MAX),
        case("ping_interval", |c| c.ping_interval = Duration::from_millis(99)),
        case("ping_interval", |c| c.ping_interval = Duration::from_secs(601)),
        case("protocol_timeout", |c| c.protocol_timeout = Duration::ZERO),
        case("protocol_timeout", |c| c.protocol_timeout = Duration::MAX),
        case("/dev/null", |c| c.identity = Identity::File("/dev/null/key".into())),
        case("/dev/null", |c| c.home = Some("/dev/null/home".into())),
        case("name", |c| c.name = Some(String::new())),
        case("name", |c| c.name = Some("a".repeat(65))),
        case("name", |c| c.name = Some("\u{1b}[2J".to_owned())),
        case("name", |c| c.name = Some("\u{202e}bee".to_owned())),
        case("network", |c| c.network = String::new()),
        case("network", |c| c.network = "A b".to_owned()),
        case("network", |c| c.network = "a".repeat(1_000)),
        case("trusted", |c| c.trusted = vec![meshwork_core::PeerId::random(); 1_025]),
        case("offered.slots", |c| c.offered.slots = Some(u32::MAX)),
        case("offered.cpus", |c| c.offered.cpus = Some(1_000_000_000)),
        case("offered.memory_bytes", |c| c.offered.memory_bytes = Some(u64::MAX)),
        case("offered.gpus", |c| c.offered.gpus = u32::MAX),
        case("offered", move |c| c.offered.capabilities = texts(33).into_iter().collect()),
        case("offered", |c| c.offered.capabilities = ["\n".to_owned()].into()),
        case("offered", move |c| {
            c.offered.labels = texts(33).into_iter().map(|text| (text.clone(), text)).collect();
        }),
        case("offered", |c| c.offered.labels = [("a".to_owned(), "b".repeat(65))].into()),
        case("tasks.lease", |c| c.tasks.lease = Duration::from_millis(999)),
        case("tasks.lease", |c| c.tasks.lease = Duration::MAX),
        case("tasks.stop_grace", |c| c.tasks.stop_grace = Duration::from_secs(3601)),
        case("tasks.heartbeat", |c| c.tasks.heartbeat = Duration::ZERO),
        case("tasks.heartbeat", |c| c.tasks.heartbeat = c.tasks.lease / 2),
        case("tasks.max_owned", |c| c.tasks.max_owned = 0),
        case("tasks.max_owned", |c| c.tasks.max_owned = usize::MAX),
        case("tasks.keep_bytes", |c| c.tasks.keep_bytes = (64 << 10) - 1),
        case("tasks.keep_results", |c| c.tasks.keep_results = Duration::from_millis(999)),
        case("tasks.keep_results", |c| c.tasks.keep_results = Duration::MAX),
        case("durability", |c| c.durability = Durability::Disk),
        case("lan", |c| c.lan = vec!["10.0.0.0/8".parse().unwrap(); 65]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_names_the_field_that_is_out_of_range() {
    for (at, (field, change)) in out_of_range().into_iter().enumerate() {
        let mut config = loopback();
        change(&mut config);
        let started = async {
            let node = NetworkManager::new(config).await?;
            node.start().await
        };
        let error = started.await.expect_err(field);
        let message = error.to_string();
        assert!(message.contains(field), "case {at}, {field}: {message}");
        assert!(!error.is_retryable(), "case {at}, {field}: a retry cannot succeed");
    }
}

/// Fails for a new field that has no test above.
#[test]
fn all_fields_are_tested() {
    let NetworkConfig {
        listen_addrs: _,
        bootstrap_peers: _,
        max_peers: _,
        connection_timeout: _,
        ping_interval: _,
        protocol_timeout: _,
        identity: _,
        home: _,
        name: _,
        network: _,
        lan: _,
        mdns: _,
        accept: _,
        trusted: _,
        offered:
            Offered {
                slots: _,
                cpus: _,
                memory_bytes: _,
                disk_bytes: _,
                gpus: _,
                capabilities: _,
                labels: _,
            },
        tasks:
            TaskSettings {
                lease: _,
                heartbeat: _,
                stop_grace: _,
                max_owned: _,
                keep_bytes: _,
                keep_results: _,
            },
        durability: _,
    } = loopback();
}
