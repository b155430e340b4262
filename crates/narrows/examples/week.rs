//! A week of files: downloads, verifies and unpacks them, counts their rows, shows progress, and
//! writes a report of how each ended, in memory that does not know how many there are.
//!
//! ```sh
//! narrows origin --port 8000 &
//! cargo run --example week -- http://127.0.0.1:8000/gdeltv2/20260101{00..23}0000.export.CSV.zip
//! ```
#![allow(clippy::print_stdout, reason = "a program may write to its stdout")]

use std::error::Error;

use futures_util::StreamExt;
use narrows::{
    Budget, Client, ClientOptions, Clock, DefaultClock, Fetch, Options, OptionsError, Report, Window, unpack,
};

/// Gives the rows of all files. How many of them are in flight is the budget's to say, not the list's.
async fn week(
    fetch: impl Fetch + Clone,
    clock: impl Clock + Clone,
    urls: Vec<String>,
    budget: &Budget,
) -> Result<usize, OptionsError> {
    let mut rows = 0;
    let options = Options::new().limit(10).unpack(unpack::Options::default());
    let mut window = Window::from_iter(urls, fetch, clock, budget, options)?
        .observed_by(|report: &Report| println!("{} {}", report.outcome.name(), report.url)); // the report
    while let Some(mut file) = window.next().await {
        while let Ok(Some(block)) = file.next_block().await {
            rows += block.iter().filter(|byte| **byte == b'\n').count();
        }
        file.finish();
        let stats = window.stats();
        eprint!("\r{} files done, {} bytes received", stats.done, stats.bytes_in); // the progress
    }
    Ok(rows)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (client, budget) = (Client::new(ClientOptions::new())?, Budget::new(64 << 20));
    let rows = week(client, DefaultClock::new(), std::env::args().skip(1).collect(), &budget).await?;
    println!("{rows} rows, at most {} bytes in use", budget.peak());
    Ok(())
}

#[cfg(test)]
mod tests {
    use narrows::testing::{Fault, MemoryFetch, SkippingClock};

    #[tokio::test]
    async fn the_same_program_counts_what_is_in_memory() {
        let mut fetch = MemoryFetch::new();
        let urls: Vec<String> = (0..700).map(|slot| format!("mem://{slot}.csv")).collect();
        for url in &urls {
            fetch = fetch.with(url.as_str(), b"a\tb\n".repeat(1000));
        }
        fetch = fetch.with_fault("mem://7.csv", Fault::Reset { after: 99, times: 2 }); // resumed
        let budget = narrows::Budget::new(64 << 20);
        let rows = super::week(fetch, SkippingClock::new(), urls, &budget).await.unwrap();
        assert_eq!(rows, 700_000);
        assert!(budget.peak() <= 64 << 20);
    }
}
