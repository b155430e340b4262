//! An adapter around the client: it tells what is asked for. A cache, a rate limit or a recorder has
//! the same shape, and everything above works over it.
//!
//! ```sh
//! cargo run --example wrapper -- https://example.com/a.csv
//! ```
#![allow(clippy::print_stdout, reason = "a program may write to its stdout")]

use std::error::Error;

use narrows::{
    Budget, Client, ClientOptions, DefaultClock, Fetch, Options, Window,
    fetch::{Profile, Request},
    for_each,
};

#[derive(Clone)]
struct Telling<F>(F);

impl<F: Fetch> Fetch for Telling<F> {
    type Error = F::Error;
    type Body = F::Body;
    type Future = F::Future;

    fn profile(&self) -> Profile {
        self.0.profile()
    }

    fn fetch(&self, request: Request) -> F::Future {
        eprintln!("asked for {request:?}"); // secrets are not shown
        self.0.fetch(request)
    }

    fn is_queued(&self, exchange: &F::Future) -> bool {
        self.0.is_queued(exchange)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let fetch = Telling(Client::new(ClientOptions::new())?);
    let budget = Budget::new(32 << 20);
    let urls = std::env::args().skip(1);
    let mut window = Window::from_iter(urls, fetch, DefaultClock::new(), &budget, Options::new())?;
    for_each(&mut window, |mut file| async move {
        let mut lines = file.lines(1 << 20);
        let mut count = 0;
        while let Ok(Some(_line)) = lines.next().await {
            count += 1;
        }
        println!("{}: {count} lines", file.finish().url);
    })
    .await;
    Ok(())
}
