//! A seeded world in which narrows runs without sockets, threads or time.
//!
//! [`check`] draws everything from one seed: windows on one budget, sources, faults, consumers
//! that pause, hold, skip, cancel; it runs them on a virtual clock and holds the contract after
//! every step. The same seed gives the same course of events on every target.
//!
//! ```
//! let summary = narrows_sim::check(7).unwrap();
//! assert_eq!(summary.trace, narrows_sim::check(7).unwrap().trace);
//! ```
//!
//! [`conformance`] has the cases every [`Fetch`](narrows_core::Fetch) adapter must pass against a
//! real origin.
#![forbid(unsafe_code)]

pub mod batching;
pub mod conformance;
mod consumer;
mod content;
mod digest;
mod faults;
pub mod journaling;
mod origin;
mod plan;
mod scenario;
mod world;

pub use content::{Content, Packing, Style, gzip, rows, zip};
pub use digest::digest;
pub use faults::{Faults, Manner};
pub use narrows_core::{Prng, report::Hex};
pub use origin::{SimBody, SimError, SimExchange, SimOrigin, Spec};
pub use plan::{Consumer, Expected, Plan, WindowPlan};
pub use scenario::{Summary, Violation, check, run};
pub use world::{Mailbox, SimClock, SimSleep, Stuck, Tasks, World};
