//! When a silent peer gets an echo, and from which side.

use meshwork_core::Time;

use super::*;

const INTERVAL: Duration = Duration::from_secs(5);

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

fn watched() -> Watched {
    Watched::new(INTERVAL, Time::ZERO, false)
}

fn is_asked(watched: &mut Watched, last_heard: u64, now: u64) -> bool {
    matches!(watched.judge(at(last_heard), at(now), INTERVAL, Duration::ZERO), Verdict::Ask)
}

#[tokio::test(start_paused = true)]
async fn silent_peer_gets_an_echo_sooner_than_a_busy_peer() {
    let mut watched = watched();
    let probes = (1..=99).filter(|second| is_asked(&mut watched, second * 1_000, second * 1_000));
    let every = limits::MEASURE_EVERY.as_secs();
    assert_eq!(probes.collect::<Vec<_>>(), (1..10).map(|time| time * every).collect::<Vec<_>>());
    assert!(!is_asked(&mut watched, 97_000, 99_900));
    assert!(is_asked(&mut watched, 97_000, 102_000));
    assert!(!is_asked(&mut watched, 97_000, 102_500), "the peer has time to answer");
    tokio::time::advance(INTERVAL).await;
    assert!(is_asked(&mut watched, 97_000, 107_000), "the peer is asked again");
}

#[tokio::test(start_paused = true)]
async fn both_sides_send_echoes_in_turn() {
    let mut watched = watched();
    assert!(is_asked(&mut watched, 0, 5_000));
    // The peer answers; the next turn is the peer's.
    assert!(!is_asked(&mut watched, 5_001, 10_500));
    // The peer takes its turn.
    assert!(!is_asked(&mut watched, 10_600, 10_700));
    assert!(is_asked(&mut watched, 10_600, 15_700), "it is this side's turn again");
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_gone_unless_this_node_was_suspended() {
    let mut dead = watched();
    let verdict = dead.judge(at(0), at(15_000), INTERVAL, Duration::ZERO);
    let Verdict::Gone(why) = verdict else { panic!("the peer is not gone") };
    assert!(why.starts_with("silent for 15.0 s"), "{why}");
    let mut innocent = watched();
    let verdict = innocent.judge(at(0), at(15_000), INTERVAL, Duration::from_secs(14));
    assert!(!matches!(verdict, Verdict::Gone(_)));
}
