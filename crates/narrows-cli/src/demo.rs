//! `narrows demo`: the same week of files through the engine and the naive way, as curves.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use narrows::memory;
use narrows_jobs::{
    calendar::Day,
    gdelt::{SLOTS, slot_name},
};

use crate::{
    args::DemoArgs,
    exit::{Exit, Usage},
    units::{human, size},
};

/// Rows and columns of a curve.
const HEIGHT: usize = 10;
const WIDTH: usize = 64;

/// A run, watched from outside.
struct Run {
    name: &'static str,
    /// Resident memory over time.
    samples: Vec<u64>,
    elapsed: Duration,
    output: String,
}

impl Run {
    fn peak(&self) -> u64 {
        self.samples.iter().copied().max().unwrap_or(0)
    }
}

/// A child that ends with this process.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(demo: &DemoArgs) -> Result<Exit, Usage> {
    let budget = size(&demo.budget).map_err(Usage::new)?;
    let program = std::env::current_exe()?;
    let mut origin = Command::new(&program);
    origin.args(["origin", "--until-stdin-closes"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut origin = Served(origin.spawn()?);
    let mut base = String::new();
    let stdout = origin.0.stdout.take().ok_or_else(|| Usage::new("the origin has no stdout".into()))?;
    BufReader::new(stdout).read_line(&mut base)?;
    let base = format!("{}/gdeltv2", base.trim());

    let first = Day { year: 2026, month: 1, day: 1 };
    let days: Vec<Day> = std::iter::successors(Some(first), |day| Some(day.next())).take(demo.days as usize).collect();
    let urls: Vec<String> = days
        .iter()
        .flat_map(|day| (0..SLOTS).map(|slot| format!("{base}/{}", slot_name(*day, slot, "export.CSV"))))
        .collect();
    let list = std::env::temp_dir().join(format!("narrows-demo-{}.txt", std::process::id()));
    std::fs::write(&list, urls.join("\n"))?;
    let limit = demo.limit.to_string();
    eprintln!("{} files of GDELT from a local origin, {limit} at a time; the origin generates them first", urls.len());
    let run_all = || -> Result<(Run, Run), Usage> {
        // So that neither run waits for files to be made.
        let mut warm = Command::new(&program);
        warm.args(["get", "--discard", "--progress", "auto", "--list"]).arg(&list);
        let _ = warm.stdout(Stdio::null()).status()?;
        let mut ours = Command::new(&program);
        let budget = budget.to_string();
        ours.args([
            "get",
            "--unpack",
            "--discard",
            "--progress",
            "none",
            "--limit",
            &limit,
            "--budget",
            &budget,
            "--list",
        ]);
        ours.arg(&list);
        let mut naive = Command::new(&program);
        naive.arg("naive").arg("--limit").arg(&limit).arg(&list);
        Ok((watch("narrows", ours)?, watch("the naive way", naive)?))
    };
    let runs = run_all();
    let _ = std::fs::remove_file(&list);
    let (ours, naive) = runs?;
    let mut out = io::stdout().lock();
    let longest = ours.elapsed.max(naive.elapsed);
    for run in [&naive, &ours] {
        draw(&mut out, run, naive.peak().max(ours.peak()), longest)?;
    }
    let ratio = naive.peak() as f64 / ours.peak().max(1) as f64;
    writeln!(out, "narrows: {} at most in {:.1} s", human(ours.peak()), ours.elapsed.as_secs_f64())?;
    writeln!(
        out,
        "the naive way: {} at most in {:.1} s: {ratio:.0} times the memory",
        human(naive.peak()),
        naive.elapsed.as_secs_f64()
    )?;
    Ok(Exit::Success)
}

/// Runs a command and samples its memory.
fn watch(name: &'static str, mut command: Command) -> Result<Run, Usage> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut samples = Vec::new();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        samples.extend(memory::resident_of(child.id()));
        std::thread::sleep(Duration::from_millis(10));
    };
    let elapsed = started.elapsed();
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        io::Read::read_to_string(&mut stdout, &mut output)?;
    }
    if !status.success() {
        return Err(Usage::new(format!("{name} failed: {status}")));
    }
    Ok(Run { name, samples, elapsed, output })
}

/// Draws a curve over the time of the longest run, in eighths of a cell.
fn draw(out: &mut impl Write, run: &Run, peak: u64, longest: Duration) -> io::Result<()> {
    writeln!(out, "\n{}: {}", run.name, run.output.lines().next().unwrap_or_default())?;
    let width = (WIDTH as f64 * run.elapsed.as_secs_f64() / longest.as_secs_f64()).round().max(1.0) as usize;
    let column = |x: usize| {
        let from = x * run.samples.len() / width;
        let until = ((x + 1) * run.samples.len() / width).max(from + 1).min(run.samples.len());
        run.samples.get(from..until).and_then(|part| part.iter().max()).copied().unwrap_or(0)
    };
    let eighths: Vec<u64> = (0..width).map(|x| (column(x) * 8 * HEIGHT as u64).div_ceil(peak.max(1))).collect();
    for row in (0..HEIGHT as u64).rev() {
        let label = match row {
            _ if row == HEIGHT as u64 - 1 => human(peak),
            0 => "0".into(),
            _ => String::new(),
        };
        let cell = |filled: &u64| {
            [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"][filled.saturating_sub(row * 8).min(8) as usize]
        };
        writeln!(out, "{label:>10} │{}", eighths.iter().map(cell).collect::<String>())?;
    }
    let axis = format!("{:.1} s", longest.as_secs_f64());
    writeln!(out, "{:>10} └{}\n{:>width$}", "", "─".repeat(WIDTH), axis, width = WIDTH + 12)
}
