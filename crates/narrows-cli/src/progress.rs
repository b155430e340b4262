//! Progress on stderr: a line that redraws itself, or one every few seconds.

use std::time::{Duration, Instant};

use narrows::{DefaultClock, Handle};

use crate::{args::ProgressArg, terminal, units::human};

/// Tells how the window fares until it is dropped.
pub(crate) async fn show(window: Handle<DefaultClock>, how: ProgressArg) {
    let redraws = how == ProgressArg::Auto && terminal::is_terminal();
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
        let line = format!(
            "{ended} ended ({} failed), {} of {} in flight, {} retries; {} in at {}/s, {} out; {} of {} charged",
            stats.failed,
            stats.in_flight,
            stats.limit,
            stats.retries,
            human(stats.bytes_in),
            human(rate as u64),
            human(stats.bytes_out),
            human(stats.reserved),
            human(stats.capacity),
        );
        match redraws {
            true => terminal::redraw(&line),
            false => terminal::tell(format_args!("{line}")),
        }
    }
}

/// Clears the line that redraws itself.
pub(crate) fn clear(how: ProgressArg) {
    if how == ProgressArg::Auto && terminal::is_terminal() {
        terminal::clear();
    }
}
