//! Runs a range of seeds: `cargo run --profile sim -p narrows-sim -- 0..100000`, or one: `-- 17`.

use std::{env, process::ExitCode, thread};

use narrows_sim::{Summary, batching, check, journaling};

const USAGE: &str = "usage: narrows-sim FIRST..END | SEED";

fn main() -> ExitCode {
    let argument = env::args().nth(1).unwrap_or_else(|| "0..10000".into());
    let parse = |text: &str| text.replace('_', "").parse::<u64>().ok();
    let range = match argument.split_once("..") {
        Some((first, end)) => parse(first).zip(parse(end)),
        None => parse(&argument).map(|seed| (seed, seed + 1)),
    };
    let Some((first, end)) = range else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let workers: Vec<_> = (0..workers)
        .map(|worker| thread::spawn(move || run((first + worker..end).step_by(workers as usize))))
        .collect();
    let mut total = Total::default();
    for worker in workers {
        match worker.join() {
            Ok(part) => total.add(part),
            Err(_) => total.failed += 1,
        }
    }
    let Total { seeds, failed, steps, hours, outcomes } = total;
    eprintln!(
        "{seeds} seeds, {failed} violations; {steps} steps, {hours} virtual hours; \
         done {}, skipped {}, failed {}, cancelled {}",
        outcomes[0], outcomes[1], outcomes[2], outcomes[3]
    );
    ExitCode::from(u8::from(failed > 0))
}

#[derive(Default)]
struct Total {
    seeds: u64,
    failed: u64,
    steps: u64,
    hours: u64,
    outcomes: [u64; 4],
}

impl Total {
    fn add(&mut self, part: Self) {
        self.seeds += part.seeds;
        self.failed += part.failed;
        self.steps += part.steps;
        self.hours += part.hours;
        self.outcomes.iter_mut().zip(part.outcomes).for_each(|(sum, part)| *sum += part);
    }
}

fn run(seeds: impl Iterator<Item = u64>) -> Total {
    let mut total = Total::default();
    for seed in seeds {
        total.seeds += 1;
        for what in [batching::check(seed), journaling::check(seed)].into_iter().filter_map(Result::err) {
            total.failed += 1;
            eprintln!("{what}");
        }
        match check(seed) {
            Ok(Summary { steps, elapsed, outcomes, .. }) => {
                total.steps += steps;
                total.hours += elapsed.as_secs() / 3600;
                total.outcomes.iter_mut().zip(outcomes).for_each(|(sum, part)| *sum += part);
            }
            Err(violation) => {
                total.failed += 1;
                eprintln!("{violation}");
            }
        }
    }
    total
}
