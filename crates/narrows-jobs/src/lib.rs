//! Jobs on narrows: compositions of sources, stages and a sink.
//!
//! A job is generic over how bytes are fetched, over the clock, and over where its results go; so it
//! runs natively, in a browser and in the simulator. It says where files are and what becomes of them.
//! Files, terminals and options are the command line's.
//!
//! * [`bars`]: aggregate trades to range bars, over any number of days.
//! * [`gdelt`]: files of both editions, and what is in them.
//! * [`tardis`]: days of market data, file by file.
//! * [`names`]: what files are called, and where they lie.
//! * [`calendar`]: days and months.
#![forbid(unsafe_code)]

pub mod bars;
pub mod calendar;
pub mod gdelt;
pub mod names;
pub mod tardis;
