//! What the npm package's JavaScript stands on: budgets, streams of files, files.
//!
//! It is no interface for users: `npm/index.js` wraps it, closes what it hands out, and turns the
//! plain objects it throws into errors. Sizes are numbers of bytes, times of milliseconds.
//!
//! Everything is on one thread. A task of its own drives each stream, so that bodies are drained
//! while the consumer is busy; no borrow lasts across an await.
#![forbid(unsafe_code)]

mod budget;
mod errors;
mod file;
mod options;
mod reading;
mod reports;
mod source;
mod stream;

pub use budget::RawBudget;
pub use file::RawFile;
pub use options::plan;
pub use stream::RawStream;
