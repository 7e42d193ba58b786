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
fn of_a_simultaneous_dial_the_own_is_kept() {
    use Direction::{Inbound, Outbound};
    let near = Duration::from_secs(1);
    for (older, newer, kept) in [
        (Inbound, Outbound, 2),
        (Outbound, Inbound, 1),
        // Both dialled by one end: the older.
        (Inbound, Inbound, 1),
        (Outbound, Outbound, 1),
    ] {
        let first = connection(1, older, near);
        let second = connection(2, newer, Duration::ZERO);
        assert_eq!(preferred(&first, &second), ConnectionId::new_unchecked(kept));
    }
}

#[test]
fn a_peer_that_comes_back_is_believed() {
    use Direction::{Inbound, Outbound};
    let far = limits::SIMULTANEOUS + Duration::from_secs(1);
    for older in [Inbound, Outbound] {
        for newer in [Inbound, Outbound] {
            let first = connection(1, older, far);
            let second = connection(2, newer, Duration::ZERO);
            assert_eq!(preferred(&first, &second), ConnectionId::new_unchecked(2));
        }
    }
}
