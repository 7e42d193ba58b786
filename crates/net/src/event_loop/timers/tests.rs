use std::time::Duration;

use super::*;

#[test]
fn reminders_come_in_order_and_not_early() {
    let mut timers = Timers::default();
    let (now, peer) = (Instant::now(), PeerId::random());
    let after = |ms| now + Duration::from_millis(ms);
    assert_eq!(timers.next(), None);
    timers.set(after(20), Timer::Publish);
    timers.set(after(10), Timer::Surplus(peer));
    assert_eq!(timers.next(), Some(after(10)));
    assert_eq!(timers.pop(now), None);
    assert_eq!(timers.pop(after(15)), Some(Timer::Surplus(peer)));
    assert_eq!(timers.pop(after(15)), None);
    assert_eq!(timers.pop(after(20)), Some(Timer::Publish));
    assert_eq!(timers.next(), None);
}
