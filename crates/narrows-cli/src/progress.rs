//! Progress on stderr: a line that redraws itself, or one every few seconds.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use narrows::{Handle, TokioClock};

use crate::{args::ProgressArg, memory::human};

/// Tells how the window fares until it is dropped.
pub(crate) async fn show(window: Handle<TokioClock>, how: ProgressArg) {
    let redraws = how == ProgressArg::Auto && io::stderr().is_terminal();
    if how == ProgressArg::None || (how == ProgressArg::Auto && !redraws) {
        return std::future::pending().await;
    }
    let period = Duration::from_millis(if redraws { 200 } else { 5000 });
    let mut before = (Instant::now(), 0);
    loop {
        tokio::time::sleep(period).await;
        let stats = window.stats();
        let (then, bytes) = before;
        let rate = (stats.bytes_in - bytes) as f64 / then.elapsed().as_secs_f64();
        before = (Instant::now(), stats.bytes_in);
        let ended = stats.done + stats.skipped + stats.failed + stats.cancelled;
        let retries = stats.attempts.saturating_sub(stats.admitted);
        let line = format!(
            "{ended} ended ({} failed), {} of {} in flight, {retries} retries; {} in at {}/s, {} out; {} of {} charged",
            stats.failed,
            stats.in_flight,
            stats.limit,
            human(stats.bytes_in),
            human(rate as u64),
            human(stats.bytes_out),
            human(stats.reserved),
            human(stats.capacity),
        );
        let mut stderr = io::stderr().lock();
        let _ = match redraws {
            true => write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush()),
            false => writeln!(stderr, "{line}"),
        };
    }
}

/// Clears the line that redraws itself.
pub(crate) fn clear(how: ProgressArg) {
    if how == ProgressArg::Auto && io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
