//! Progress on stderr: a line that redraws itself and fits the terminal, or one every few seconds.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use narrows::{DefaultClock, Handle, Stats};

use crate::{args::ProgressArg, terminal, units::human};

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// What a line is made of.
struct Seen {
    stats: Stats,
    /// Sources of the list, if that is known, and those of them that were done before.
    total: Option<u64>,
    already: u64,
    bytes_per_second: f64,
    elapsed: Duration,
}

/// Whether anybody sees it.
pub(crate) fn is_shown(how: ProgressArg) -> bool {
    match how {
        ProgressArg::Auto => terminal::is_terminal(),
        ProgressArg::Plain => true,
        ProgressArg::None => false,
    }
}

/// Tells how the window fares until it is dropped. `total` is how many sources the list has, if that is known, and
/// `already` how many of them need not be fetched.
pub(crate) async fn show(
    window: Handle<DefaultClock>,
    how: ProgressArg,
    total: Option<u64>,
    already: impl Fn() -> u64,
) {
    if !is_shown(how) {
        return std::future::pending().await;
    }
    let redraws = how == ProgressArg::Auto;
    let period = Duration::from_millis(if redraws { 200 } else { 5000 });
    let started = Instant::now();
    let (mut before, mut bytes_per_second) = ((Instant::now(), 0), None);
    loop {
        tokio::time::sleep(period).await;
        let stats = window.stats();
        let (then, bytes) = before;
        let now = (stats.bytes_in - bytes) as f64 / then.elapsed().as_secs_f64();
        // Bodies come in bursts: a second's worth or so is shown.
        let smooth = if redraws { 0.2 } else { 1.0 };
        let rate = bytes_per_second.map_or(now, |before: f64| before + (now - before) * smooth);
        bytes_per_second = Some(rate);
        before = (Instant::now(), stats.bytes_in);
        let seen = Seen { stats, total, already: already(), bytes_per_second: rate, elapsed: started.elapsed() };
        match redraws {
            true => terminal::redraw(&seen.line(terminal::columns().unwrap_or(COLUMNS))),
            false => terminal::tell(format_args!("{}", seen.line(usize::MAX))),
        }
    }
}

impl Seen {
    /// As much of it as fits: what matters most comes first.
    fn line(&self, columns: usize) -> String {
        let Self { stats, total, already, bytes_per_second, elapsed } = self;
        let own = stats.done + stats.skipped + stats.failed + stats.cancelled;
        let ended = own + already;
        let mut parts = Vec::new();
        match total.filter(|total| *total > 0) {
            Some(total) => {
                parts.push(format!("{:3} % of {total}", ended.min(total) * 100 / total));
                let left = total.saturating_sub(ended);
                if own > 0 {
                    let seconds = elapsed.as_secs_f64() * left as f64 / own as f64;
                    parts.push(format!("{} left", clock(seconds as u64)));
                }
            }
            None => parts.push(format!("{ended} ended")),
        }
        if stats.failed > 0 {
            parts.push(format!("{} failed", stats.failed));
        }
        parts.push(format!("{}/s", human(*bytes_per_second as u64)));
        parts.push(format!("{} of {} in flight", stats.in_flight, stats.limit));
        parts.push(format!("{} in", human(stats.bytes_in)));
        parts.push(format!("{} out", human(stats.bytes_out)));
        parts.push(format!("{} of {} charged", human(stats.reserved), human(stats.capacity)));
        parts.push(format!("{} retries", stats.retries));
        let mut line = String::new();
        for part in parts {
            let comma = if line.is_empty() { "" } else { ", " };
            if line.len() + comma.len() + part.len() >= columns {
                break;
            }
            let _ = write!(line, "{comma}{part}");
        }
        line
    }
}

/// `1:05:09`, `5:09`.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Clears the line that redraws itself.
pub(crate) fn clear(how: ProgressArg) {
    if how == ProgressArg::Auto && terminal::is_terminal() {
        terminal::clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal_and_says_first_what_matters() {
        let mut stats = Stats::default();
        (stats.done, stats.failed, stats.limit, stats.in_flight) = (30, 2, 10, 10);
        let elapsed = Duration::from_secs(64);
        let mut seen = Seen { stats, total: Some(132), already: 10, bytes_per_second: 1e6, elapsed };
        for columns in [10, 20, 40, 60, 80, 200] {
            assert!(seen.line(columns).len() < columns, "{}", seen.line(columns));
        }
        assert!(seen.line(80).starts_with(" 31 % of 132, 3:00 left, 2 failed, 976.6 KiB/s"), "{}", seen.line(80));
        seen.total = None;
        assert!(seen.line(80).starts_with("42 ended, 2 failed"), "{}", seen.line(80));
        assert_eq!([clock(59), clock(3605)], ["0:59", "1:00:05"]);
    }
}
