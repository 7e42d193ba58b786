use std::time::Duration;

use super::*;

fn connection(number: usize, direction: Direction, age: Duration) -> Connection {
    let address = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let mut connection =
        Connection::new(ConnectionId::new_unchecked(number), direction, address, None);
    connection.since -= age;
    connection
}

#[test]
fn simultaneous_dial_keeps_the_arbiters_own_connection() {
    use Direction::{Inbound, Outbound};
    let age = Duration::from_secs(1);
    for (older, newer, chosen) in [
        (Inbound, Outbound, 2),
        (Outbound, Inbound, 1),
        // One side dialled both: the older.
        (Inbound, Inbound, 1),
        (Outbound, Outbound, 1),
    ] {
        let first = connection(1, older, age);
        let second = connection(2, newer, Duration::ZERO);
        assert_eq!(preferred(&first, &second), ConnectionId::new_unchecked(chosen));
    }
}

#[test]
fn reconnecting_peer_keeps_the_newer_connection() {
    use Direction::{Inbound, Outbound};
    let age = limits::SIMULTANEOUS + Duration::from_secs(1);
    for older in [Inbound, Outbound] {
        for newer in [Inbound, Outbound] {
            let first = connection(1, older, age);
            let second = connection(2, newer, Duration::ZERO);
            assert_eq!(preferred(&first, &second), ConnectionId::new_unchecked(2));
        }
    }
}
