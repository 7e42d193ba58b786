//! When shed connections are reported.

use std::time::Duration;

use super::*;

const A: Net = Net::V4([10, 0, 1]);
const B: Net = Net::V4([10, 0, 2]);

fn shed(window: &mut Window, group: Net, count: u64, at: Instant) {
    for _ in 0..count {
        window.add(group, at);
    }
}

#[test]
fn few_shed_connections_per_minute_are_no_crowd() {
    let (mut window, now) = (Window::default(), Instant::now());
    assert_eq!(window.crowd(now), None);
    shed(&mut window, A, limits::CROWD - 1, now);
    assert_eq!(window.crowd(now), None);
    // The same number in the next minute is no crowd either.
    let later = now + limits::CROWD_WINDOW;
    shed(&mut window, A, limits::CROWD - 1, later);
    assert_eq!(window.crowd(later), None);
}

#[test]
fn crowd_is_reported_with_its_largest_network_until_it_ends() {
    let (mut window, now) = (Window::default(), Instant::now());
    shed(&mut window, B, 5, now);
    shed(&mut window, A, limits::CROWD, now);
    let crowd = window.crowd(now).unwrap();
    assert_eq!(crowd, Crowd { shed: limits::CROWD + 5, mostly_from: "10.0.1.0/24".to_owned() });
    assert!(window.crowd(now + limits::CROWD_WINDOW).is_some(), "the minute before");
    assert_eq!(window.crowd(now + 2 * limits::CROWD_WINDOW), None);
}

#[test]
fn alarm_is_raised_once_a_minute() {
    let (mut window, start) = (Window::default(), Instant::now());
    let mut alarms = 0;
    for second in 0..180 {
        let now = start + Duration::from_secs(second);
        shed(&mut window, A, 1_000, now);
        alarms += usize::from(window.take_alarm(now).is_some());
    }
    assert_eq!(alarms, 3);
}

#[test]
fn separately_counted_networks_are_bounded() {
    let (mut window, now) = (Window::default(), Instant::now());
    for n in 0..=u8::MAX {
        window.add(Net::V4([10, 1, n]), now);
    }
    let minute = window.now.unwrap();
    assert_eq!((minute.groups.len(), minute.shed), (GROUPS, 256));
}
