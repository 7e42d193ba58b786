//! Rounds in which both may end at a point, and anybody is killed at any time, in every second round
//! another worker as well: as many as `MESHWORK_CRASH_ROUNDS` says, else a few.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use super::{Kind, LANES, POINTS};
use crate::pair::{Given, Pair, Side, echo, sleep};

/// Seconds in all.
const ROUNDS: usize = 8;
const TASKS: usize = 8;

#[test]
fn whoever_is_killed_whenever_no_task_is_lost_and_none_ends_twice() {
    let asked = env::var("MESHWORK_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = asked.unwrap_or(ROUNDS);
    let (next, ends) = (AtomicUsize::new(0), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let number = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < rounds);
                while let Some(number) = number() {
                    let (points, kills) = Round::new(number).run();
                    ends[0].fetch_add(points, Ordering::Relaxed);
                    ends[1].fetch_add(kills, Ordering::Relaxed);
                }
            });
        }
    });
    let [points, kills] = ends.map(AtomicUsize::into_inner);
    println!("{rounds} rounds, {points} ends at a point, {kills} kills");
    assert!(points > 0 && kills > 0);
}

struct Round {
    number: usize,
    random: u64,
    points: usize,
    kills: usize,
}

impl Round {
    fn new(number: usize) -> Self {
        Self { number, random: number as u64, points: 0, kills: 0 }
    }

    /// Below `bound`; the same for the same round (SplitMix64).
    fn draw(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// A shell's words by which one ends somewhere, three times of four.
    fn order(&mut self, side: Side) -> String {
        let points: Vec<&str> = POINTS
            .iter()
            .filter(|(of, _, kind)| *of == side && *kind == Kind::Done)
            .map(|(_, point, _)| point.split(':').next().unwrap())
            .collect();
        if self.draw(4) == 0 {
            return "true".to_owned();
        }
        let point = points[self.draw(points.len())];
        format!("export MESHWORK_CRASH_AT={point}:{}", 1 + self.draw(TASKS / 2))
    }

    /// How many ended at a point, and how many were killed.
    fn run(mut self) -> (usize, usize) {
        let orders = [self.order(Side::Owner), self.order(Side::Worker)];
        let mut pair = Pair::up(&orders[0], &orders[1]);
        if self.has_third() {
            pair = pair.with_third();
        }
        let caller = pair.caller();
        let tasks: Vec<Given> = (0..TASKS)
            .map(|number| match self.draw(2) {
                0 => echo(&format!("task {number}")),
                _ => sleep(&format!("task {number}"), 20 + self.draw(400) as u32),
            })
            .collect();
        let ids: Vec<String> = thread::scope(|scope| {
            let calling =
                scope.spawn(|| tasks.iter().map(|task| caller.submit(task)).collect::<Vec<_>>());
            for _ in 0..4 {
                self.restart(&mut pair);
                thread::sleep(Duration::from_millis(self.draw(400) as u64));
                self.kill(&mut pair);
            }
            // Until all is accepted somebody may end, and nobody is there to start it again.
            while !calling.is_finished() {
                self.restart(&mut pair);
                thread::sleep(Duration::from_millis(10));
            }
            calling.join().expect("all is answered")
        });
        // Orders that nobody has come to yet are over.
        for side in self.sides() {
            pair.kill(*side);
        }
        for (task, id) in tasks.iter().zip(&ids) {
            caller.check(task, id);
        }
        pair.at_rest();
        let executions = pair.executions();
        let most = 3 + self.points + self.kills;
        for (task, id) in tasks.iter().zip(&ids).filter(|(task, _)| task.is_counted()) {
            let times = executions.get(id).copied().unwrap_or_default();
            let number = self.number;
            assert!((1..=most).contains(&times), "round {number}: {times} times: {task:?}");
        }
        (self.points, self.kills)
    }

    fn has_third(&self) -> bool {
        self.number % 2 == 1
    }

    fn sides(&self) -> &'static [Side] {
        const ALL: [Side; 3] = [Side::Owner, Side::Worker, Side::Third];
        if self.has_third() { &ALL } else { &ALL[..2] }
    }

    /// Starts whoever has ended at a point.
    fn restart(&mut self, pair: &mut Pair) {
        for side in [Side::Owner, Side::Worker] {
            if pair.has_ended(side) {
                let (_, home) = pair.gone(side, "a point");
                pair.start(side, home, "true");
                self.points += 1;
            }
        }
    }

    /// Kills one of them, some, all, or none.
    fn kill(&mut self, pair: &mut Pair) {
        let which = self.draw(8);
        for side in self.sides() {
            if which & (1 << *side as usize) != 0 {
                let (_, home) = pair.take(*side).end(Signal::KILL);
                pair.start(*side, home, "true");
                self.kills += 1;
            }
        }
    }
}
