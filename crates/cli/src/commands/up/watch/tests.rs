use super::*;

#[test]
fn lines_above_the_limit_of_a_minute_are_counted() {
    let start = Instant::now();
    let mut throttle = Throttle::new(start);
    for _ in 0..limits::PEER_LINES {
        assert_eq!(throttle.allow(start), Allowed::Yes { kept_back: 0 });
    }
    for _ in 0..3 {
        assert_eq!(throttle.allow(start + Duration::from_secs(59)), Allowed::No);
    }
    let later = start + Duration::from_secs(60);
    assert_eq!(throttle.allow(later), Allowed::Yes { kept_back: 3 });
    assert_eq!(throttle.allow(later), Allowed::Yes { kept_back: 0 });
}
