//! Temporary storage for what is too big to hold.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll},
};

/// Makes temporary files, within a quota.
///
/// No example: `narrows_native::TempSpool` and `narrows_browser::OpfsSpool` implement it, and have some.
pub trait Spool {
    /// Why storage failed.
    type Error: StdError + 'static;
    /// A temporary file.
    type File: SpoolFile<Error = Self::Error> + Unpin;
    /// A file in the making.
    type Create: Future<Output = Result<Self::File, Self::Error>> + Unpin;

    /// A new file that may grow to `bytes_max`.
    ///
    /// # Errors
    ///
    /// At once if the quota cannot hold `bytes_max` more bytes.
    fn create(&self, bytes_max: u64) -> Self::Create;
}

/// Append, then read. Gone when dropped.
///
/// No example: as [`Spool`].
pub trait SpoolFile {
    /// Why storage failed.
    type Error;

    /// Appends a beginning of `bytes` and says how long it was: at least 1 if there was any.
    fn poll_append(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Self::Error>>;

    /// Reads from `offset` into a beginning of `buffer`; 0 at the end.
    fn poll_read_at(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Self::Error>>;
}
