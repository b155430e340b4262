//! A week of files: downloads, verifies and unpacks them, counts their rows, shows progress, and
//! writes a report of how each ended, in memory that does not know how many there are.
//!
//! ```sh
//! narrows origin --port 8000 &
//! cargo run --example week -- http://127.0.0.1:8000/gdeltv2/20260101{00..23}0000.export.CSV.zip
//! ```
#![allow(clippy::print_stdout, reason = "a program may write to its stdout")]

use std::error::Error;

use narrows::{Budget, Client, ClientOptions, Clock, DefaultClock, Fetch, Options, Report, Window, for_each, unpack};

/// Gives the rows of all files, and what was the most memory in use.
async fn week<F, C>(fetch: F, clock: C, urls: Vec<String>) -> Result<(u64, u64), Box<dyn Error>>
where
    F: Fetch<Future: Send, Body: Send> + Clone + Send + 'static,
    C: Clock<Sleep: Send> + Clone + Send + 'static,
{
    let (budget, rows) = (Budget::new(64 << 20), std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0)));
    let options = Options::new().limit(10).unpack(unpack::Options::default());
    let mut window = Window::from_iter(urls, fetch, clock, &budget, options)?
        .observed_by(|report: &Report| println!("{} {}", report.outcome.name(), report.url)); // the report
    let progress = window.handle();
    for_each(&mut window, |mut file| {
        let (rows, progress) = (rows.clone(), progress.clone());
        async move {
            while let Ok(Some(block)) = file.next_block().await {
                let count = block.iter().filter(|byte| **byte == b'\n').count();
                rows.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
            }
            file.finish();
            eprint!("\r{} files done, {} bytes received", progress.stats().done, progress.stats().bytes_in);
        }
    })
    .await;
    Ok((rows.load(std::sync::atomic::Ordering::Relaxed), budget.peak()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(ClientOptions::new())?;
    let (rows, peak) = week(client, DefaultClock::new(), std::env::args().skip(1).collect()).await?;
    println!("{rows} rows, at most {peak} bytes in use");
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
        let (rows, peak) = super::week(fetch, SkippingClock::new(), urls).await.unwrap();
        assert_eq!(rows, 700_000);
        assert!(peak <= 64 << 20);
    }
}
