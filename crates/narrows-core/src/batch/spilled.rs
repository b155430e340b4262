//! How much a buffer may spill, what it has spilled, and what can go wrong with it.

use std::{error::Error as StdError, fmt};

use crate::spool::ReadError;

/// How much may be spilled.
///
/// ```
/// let options = narrows_core::batch::SpillOptions::new().bytes_max(1 << 30);
/// assert_eq!((options.bytes_max, options.file_bytes), (1 << 30, 8 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpillOptions {
    /// Bytes of all files; where they are full, pushes wait. Default 256 MiB.
    pub bytes_max: u64,
    /// Bytes of one file, but for a single item: storage is given back file by file. Default 8 MiB.
    pub file_bytes: u64,
}

impl Default for SpillOptions {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, file_bytes: 8 << 20 }
    }
}

impl SpillOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters! {
        bytes_max: [u64],
        file_bytes: [u64],
    }
}

/// Why an item could not be spilled, or read again.
///
/// ```
/// use narrows_core::batch::SpillError;
///
/// let error: SpillError<std::io::Error> = SpillError::TooLarge { bytes: 2048, max: 1024 };
/// assert_eq!(error.to_string(), "the item takes 2048 bytes of storage, more than the 1024 there may be");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SpillError<E> {
    /// The buffer is closed.
    Closed,
    /// Storage failed.
    Storage(E),
    /// The item would take more bytes of storage than there may be, or than one item may.
    TooLarge {
        /// Bytes it would take.
        bytes: u64,
        /// Bytes there may be.
        max: u64,
    },
    /// Storage gave other bytes than were written.
    Damaged,
}

impl<E: fmt::Display> fmt::Display for SpillError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the buffer is closed"),
            Self::Storage(error) => write!(f, "temporary storage: {error}"),
            Self::TooLarge { bytes, max } => {
                write!(f, "the item takes {bytes} bytes of storage, more than the {max} there may be")
            }
            Self::Damaged => f.write_str("temporary storage gave other bytes than were written"),
        }
    }
}

impl<E: StdError + 'static> StdError for SpillError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> From<ReadError<E>> for SpillError<E> {
    fn from(error: ReadError<E>) -> Self {
        match error {
            ReadError::Storage(error) => Self::Storage(error),
            ReadError::Short => Self::Damaged,
        }
    }
}

/// What is in storage now.
///
/// No example: that of [`Spilling`](super::Spilling) looks at it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Spilled {
    /// Items that have not gone on into the buffer.
    pub items: u64,
    /// Bytes set aside for files.
    pub bytes: u64,
    /// Items that were ever spilled.
    pub items_total: u64,
}

/// An item that was not taken, and why.
///
/// No example: [`Spilling::push`](super::Spilling::push) gives it back.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotPushed<T, E> {
    /// What was to be delivered.
    pub value: T,
    /// Why it was not taken.
    pub error: SpillError<E>,
}

impl<T, E: fmt::Display> fmt::Display for NotPushed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug, E: StdError + 'static> StdError for NotPushed<T, E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
