//! What narrows is tried on: an origin on 127.0.0.1 that generates data like that which people
//! download, with faults on request, and the naive way to download it, for comparison.
//!
//! It is for demos, tests and benchmarks, and not published.
#![forbid(unsafe_code)]

mod body;
mod content;
mod faults;
mod generate;
pub mod naive;
pub mod serve;
mod tardis;
mod trades;
