//! What an origin does wrong, and how it delivers.

use std::time::Duration;

use narrows_core::Prng;

/// Chances out of 1,024 for each exchange. A swarm draws half of them as zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// No connection.
    pub refuse: u64,
    /// TLS refused: not to be retried.
    pub tls: u64,
    /// 429 or 503, half of them with `Retry-After`.
    pub overload: u64,
    /// Another status of the 4xx or 5xx.
    pub status: u64,
    /// The body breaks off with an error.
    pub reset: u64,
    /// The body ends early without one.
    pub truncate: u64,
    /// The body stops for ever.
    pub stall: u64,
    /// The answer's head never comes.
    pub silent: u64,
    /// A range is answered with everything.
    pub ignore_range: u64,
    /// A range is answered with another one.
    pub wrong_range: u64,
    /// A range is answered with a shorter part of a whole of unknown length.
    pub part: u64,
    /// The content changes before the answer.
    pub change: u64,
    /// The declared length is too large.
    pub lie: u64,
    /// No length is declared.
    pub no_length: u64,
    /// The validator is weak, or there is none.
    pub no_etag: u64,
    /// `Accept-Ranges` is missing.
    pub no_ranges: u64,
    /// The body is longer than declared.
    pub overlong: u64,
    /// The body comes with a content encoding.
    pub encode: u64,
}

/// How an origin delivers.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Longest wait before an answer and before a chunk.
    pub latency_max: Duration,
    /// Longest chunk; 1 sends byte by byte.
    pub chunk_max: u64,
    /// Whether the platform keeps headers to itself, as CORS has it.
    pub hides: bool,
    /// Whether answers have the date of their version.
    pub dated: bool,
}

impl Faults {
    /// Some faults, often; others never.
    pub fn swarm(prng: &mut Prng) -> Self {
        let ceiling = 1 << prng.below(9);
        let mut chance = || if prng.below(2) == 0 { 0 } else { prng.below(ceiling) };
        Self {
            refuse: chance(),
            tls: chance() / 8,
            overload: chance(),
            status: chance() / 4,
            reset: chance(),
            truncate: chance(),
            stall: chance(),
            silent: chance() / 2,
            ignore_range: chance(),
            wrong_range: chance(),
            part: chance(),
            change: chance(),
            lie: chance() / 2,
            no_length: chance(),
            no_etag: chance(),
            no_ranges: chance(),
            overlong: chance() / 4,
            encode: chance() / 2,
        }
    }
}
