//! Without a runtime: files one after another, each by lines. (It is a `std::io::Read`, too.)
//!
//! ```sh
//! cargo run --example blocking -- https://example.com/a.csv
//! ```
#![allow(clippy::print_stdout, reason = "a program may write to its stdout")]

use std::error::Error;

use narrows::{Budget, Client, ClientOptions, Options, blocking, unpack};

fn main() -> Result<(), Box<dyn Error>> {
    let (client, budget) = (Client::new(ClientOptions::new())?, Budget::new(32 << 20));
    let options = Options::new().unpack(unpack::Options::default());
    for mut file in blocking::iter(std::env::args().skip(1), client, &budget, options)? {
        let mut lines = 0;
        let _ = file.for_each_line(1 << 20, |_line| lines += 1); // the report says what failed
        let report = file.finish();
        println!("{}: {lines} lines, {}", report.url, report.outcome.name());
    }
    Ok(())
}
