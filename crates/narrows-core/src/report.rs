//! How a source ended.

use std::{fmt, sync::Arc, time::Duration};

use crate::failure::Failure;

/// The one end of a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything came, as far as [`Proof`] goes.
    Done(Proof),
    /// A named policy passed it over: it was not found.
    Skipped,
    /// It failed.
    Failed(Box<Failure>),
    /// The consumer lost interest before the end.
    Cancelled,
}

impl Outcome {
    /// `done`, `skipped`, `failed` or `cancelled`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What shows that the end of the data is its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// A digest or a size known beforehand.
    Expected,
    /// The structure of the zip archive. (Of gzip and zstd, another part could have followed.)
    Structure,
    /// The length that the origin declared.
    Length,
    /// Its length, but parts came one after another and nothing tells that they are of one
    /// version: the origin sent, or showed, neither `ETag` nor `Last-Modified`.
    UnverifiedVersion,
    /// Nothing: the origin closed the connection, and that may have been anywhere.
    UnverifiedEnd,
}

impl Proof {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Structure => "structure",
            Self::Length => "length",
            Self::UnverifiedVersion => "unverified_version",
            Self::UnverifiedEnd => "unverified_end",
        }
    }
}

/// Everything there is to say of a source once it has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Its place in the list, from 0.
    pub index: u64,
    /// Its address. It may hold secrets; see [`public_url`](crate::public_url).
    pub url: Arc<str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Exchanges that were begun.
    pub attempts: u32,
    /// Bytes received, those thrown away included.
    pub bytes_received: u64,
    /// Bytes handed to the consumer.
    pub bytes_out: u64,
    /// Entries that were complete.
    pub entries: u64,
    /// SHA-256 of what was received, if it was asked for and the source is done.
    pub sha256: Option<[u8; 32]>,
    /// Time from admission to the end.
    pub elapsed: Duration,
}

/// Bytes that show as lower-case hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
