//! Temporary storage for what is too big to hold.

use std::{
    error::Error as StdError,
    future::poll_fn,
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

/// Why bytes could not be read from a temporary file.
#[derive(Debug)]
pub(crate) enum ReadError<E> {
    Storage(E),
    /// The file is shorter than it was written.
    Short,
}

/// Appends all of `bytes`. Not cancel-safe: a beginning may have been appended.
pub(crate) async fn append_all<F: SpoolFile + Unpin>(file: &mut F, mut bytes: &[u8]) -> Result<(), F::Error> {
    while !bytes.is_empty() {
        let appended = poll_fn(|cx| Pin::new(&mut *file).poll_append(cx, bytes)).await?;
        bytes = &bytes[appended..];
    }
    Ok(())
}

/// Fills `buffer` from `offset` on.
pub(crate) async fn read_exact_at<F: SpoolFile + Unpin>(
    file: &mut F,
    offset: u64,
    buffer: &mut [u8],
) -> Result<(), ReadError<F::Error>> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        let read = poll_fn(|cx| Pin::new(&mut *file).poll_read_at(cx, offset + filled as u64, rest)).await;
        match read.map_err(ReadError::Storage)? {
            0 => return Err(ReadError::Short),
            read => filled += read,
        }
    }
    Ok(())
}
