use super::*;

#[test]
fn answer_shows_path_and_round_trip() {
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
fn summary_counts_requests_and_answers() {
    let mut times = Times::default();
    assert_eq!(times.summary(), "0 sent, 0 received");
    times.sent = 3;
    assert_eq!(times.summary(), "3 sent, 0 received");
    times.add(2_000);
    times.add(1_000);
    assert_eq!(times.summary(), "3 sent, 2 received; min/avg/max 1.0/1.5/2.0 ms");
}
