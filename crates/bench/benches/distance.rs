//! The makespan of batches: on a distant worker compared with the ideal, and on four workers
//! compared with list scheduling. In the simulator's virtual time: the figures depend on the
//! engine's decisions alone, and are equal on every machine.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::time::Duration;

use meshwork_sim::{Failure, Makespan};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A name, and the run time in milliseconds of the task at each index.
type Load = (&'static str, fn(u64) -> u64);

/// The makespan of the batch as a multiple of list scheduling without a network.
fn ratio(batch: &Makespan) -> Result<f64, Failure> {
    Ok(batch.measure(1)?.as_secs_f64() / batch.list_schedule().as_secs_f64())
}

fn one_worker() -> Result<(), Failure> {
    let loads = [(400, 10), (400, 50), (200, 100), (66, 300)];
    println!("one worker of four slots, multiples of the ideal");
    println!("| round trip | 400 x 10 ms | 400 x 50 ms | 200 x 100 ms | 66 x 300 ms |");
    println!("|---|---|---|---|---|");
    for round_trip in [0, 10, 100, 300] {
        print!("| {round_trip} ms |");
        for (tasks, each) in loads {
            let one_way = vec![ms(round_trip) / 2];
            let batch = Makespan { one_way, slots: 4, run_times: vec![ms(each); tasks] };
            print!(" {:.3} |", ratio(&batch)?);
        }
        println!();
    }
    Ok(())
}

fn four_workers() -> Result<(), Failure> {
    let loads: [Load; 4] = [
        ("equal", |_| 100),
        ("uniform", |at| 20 + at * 7_919 % 160),
        ("one in twenty long", |at| if at % 20 == 7 { 1_000 } else { 60 }),
        ("sixteen long first", |at| if at < 16 { 1_500 } else { 80 }),
    ];
    println!("\nfour workers of four slots, multiples of list scheduling");
    println!("| load | side by side | two of them 100 ms away |");
    println!("|---|---|---|");
    for (name, load) in loads {
        let run_times: Vec<Duration> = (0..800).map(|at| ms(load(at))).collect();
        let on = |one_way: [Duration; 4]| Makespan {
            one_way: one_way.to_vec(),
            slots: 4,
            run_times: run_times.clone(),
        };
        let near = ratio(&on([Duration::from_micros(150); 4]))?;
        let far = ratio(&on([ms(0), ms(0), ms(50), ms(50)]))?;
        println!("| {name} | {near:.3} | {far:.3} |");
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    one_worker()?;
    four_workers()
}
