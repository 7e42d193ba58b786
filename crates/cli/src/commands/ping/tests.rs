use super::*;

#[test]
fn an_answer_shows_the_way_and_the_time() {
    let pong = PingAnswer {
        peer_id: "12D3KooWMDcGN1Y98nb4GeGSuLrwn9NeKp1oT1AKo6KsH8gwZpZj".to_owned(),
        name: Some("bee".to_owned()),
        round_trip_us: 412,
        path: "direct".into(),
        transport: "tcp".into(),
        address: "/ip4/192.168.1.7/tcp/4101".to_owned(),
    };
    assert_eq!(line(&pong), "bee direct /ip4/192.168.1.7/tcp/4101 tcp  0.4ms");
}

#[test]
fn the_summary_counts_what_was_answered() {
    let mut times = Times::default();
    assert_eq!(times.summary(), "0 sent, 0 received");
    times.asked = 3;
    assert_eq!(times.summary(), "3 sent, 0 received");
    times.add(2_000);
    times.add(1_000);
    assert_eq!(times.summary(), "3 sent, 2 received; min/avg/max 1.0/1.5/2.0 ms");
}
