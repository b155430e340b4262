//! `--watch-memory`: what the process takes, every second, and whether that grows.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use narrows::{DefaultClock, Handle, memory};
use serde::Serialize;

use crate::{exit::Usage, record::millis, terminal::tell, units::human};

const PERIOD: Duration = Duration::from_secs(1);
/// Readings that a slope is drawn through: five minutes.
const READINGS: usize = 300;
/// Of so many readings one is a line on stderr.
const LINES_EVERY: u64 = 5;

/// Where readings go.
pub(crate) struct Watch(Option<To>);

enum To {
    Stderr,
    /// As JSON lines.
    File(File, PathBuf),
}

#[derive(Serialize)]
struct Reading {
    elapsed_ms: u64,
    resident_bytes: u64,
    /// Of the last five minutes; none before there are ten readings.
    growth_bytes_per_minute: Option<i64>,
    reserved_bytes: u64,
    budget_bytes: u64,
    in_flight: u64,
    limit: u64,
    ended: u64,
}

impl Watch {
    /// Into this file, or to stderr if it is `-`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Usage> {
        Ok(Self(match path {
            None => None,
            Some(path) if path == Path::new("-") => Some(To::Stderr),
            Some(path) => {
                let file = File::create(path).map_err(|error| Usage::at(path, &error))?;
                Some(To::File(file, path.to_owned()))
            }
        }))
    }

    /// Reads until it is dropped.
    pub(crate) async fn run(self, window: Handle<DefaultClock>) {
        let Some(mut to) = self.0 else { return std::future::pending().await };
        let (started, mut slope) = (Instant::now(), Slope::default());
        for number in 0_u64.. {
            let (stats, elapsed) = (window.stats(), started.elapsed());
            let Some(resident_bytes) = memory::resident_of(std::process::id()) else {
                tell(format_args!("narrows: --watch-memory: this system does not say what a process takes"));
                break;
            };
            slope.add(elapsed, resident_bytes);
            let reading = Reading {
                elapsed_ms: millis(elapsed),
                resident_bytes,
                growth_bytes_per_minute: slope.per_minute(),
                reserved_bytes: stats.reserved,
                budget_bytes: stats.capacity,
                in_flight: stats.in_flight,
                limit: stats.limit,
                ended: stats.done + stats.skipped + stats.failed + stats.cancelled,
            };
            if let Err((path, error)) = to.put(&reading, number) {
                tell(format_args!("narrows: --watch-memory {}: {error}", path.display()));
                break;
            }
            tokio::time::sleep(PERIOD).await;
        }
        std::future::pending::<()>().await;
    }
}

impl To {
    fn put(&mut self, reading: &Reading, number: u64) -> Result<(), (PathBuf, io::Error)> {
        match self {
            Self::Stderr if number.is_multiple_of(LINES_EVERY) => tell(format_args!("{reading}")),
            Self::Stderr => {}
            Self::File(file, path) => {
                let line = serde_json::to_string(reading).unwrap_or_default() + "\n";
                file.write_all(line.as_bytes()).map_err(|error| (path.clone(), error))?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resident_bytes, reserved_bytes, budget_bytes, in_flight, limit, ended, .. } = self;
        let growth = self.growth_bytes_per_minute.map_or(String::new(), |bytes| {
            let sign = if bytes < 0 { '-' } else { '+' };
            format!(" ({sign}{} a minute)", human(bytes.unsigned_abs()))
        });
        let [resident, reserved, budget] = [*resident_bytes, *reserved_bytes, *budget_bytes].map(human);
        write!(f, "memory: {resident} resident{growth}, {reserved} of {budget} charged, ")?;
        write!(f, "{in_flight} of {limit} in flight, {ended} ended")
    }
}

/// How fast something grows: the line through its last readings with the least squares.
#[derive(Default)]
struct Slope(VecDeque<(f64, f64)>);

impl Slope {
    fn add(&mut self, at: Duration, bytes: u64) {
        if self.0.len() == READINGS {
            self.0.pop_front();
        }
        self.0.push_back((at.as_secs_f64(), bytes as f64));
    }

    fn per_minute(&self) -> Option<i64> {
        const FEWEST: usize = 10;
        let count = self.0.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.0.iter().map(of).sum::<f64>() / count;
        let (time, bytes) = (mean(|reading| reading.0), mean(|reading| reading.1));
        let products = self.0.iter().map(|(at, value)| (at - time) * (value - bytes)).sum::<f64>();
        let squares = self.0.iter().map(|(at, _)| (at - time).powi(2)).sum::<f64>();
        (self.0.len() >= FEWEST && squares > 0.0).then(|| (products / squares * 60.0) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_last_readings() {
        let mut slope = Slope::default();
        for second in 0..9 {
            slope.add(Duration::from_secs(second), 1000 * second);
            assert_eq!(slope.per_minute(), None, "too few");
        }
        slope.add(Duration::from_secs(9), 9000);
        assert_eq!(slope.per_minute(), Some(60_000));
        for second in 10..10 + READINGS as u64 {
            slope.add(Duration::from_secs(second), 9000 + second % 2);
        }
        assert!(slope.per_minute().is_some_and(|bytes| bytes.abs() < 2), "what was before is forgotten");
    }
}
