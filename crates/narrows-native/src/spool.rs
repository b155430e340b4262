//! Temporary files that nobody else can see and that vanish with their handle or the process.

use std::{
    fs::File,
    future::{Ready, ready},
    io::{self, Seek, SeekFrom, Write},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use narrows_core::spool::{Spool, SpoolFile};

/// Makes unlinked temporary files in a directory, within a quota. Clones share the quota.
///
/// Reads and writes go to the page cache and are done in place, on the caller's thread. An
/// unlinked file has no name, so a killed process leaves none behind.
///
/// ```
/// use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// use narrows_native::TempSpool;
/// # use futures_util::StreamExt;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(64 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let spool = TempSpool::new(std::env::temp_dir(), 1 << 30); // a gigabyte at most
/// let mut delivery = window.next().await.expect("one source");
/// let file = delivery.spool(&spool, 1 << 20).await?;
/// assert_eq!((file.length(), spool.left()), (5, (1 << 30) - 5));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TempSpool {
    directory: PathBuf,
    left: Arc<AtomicU64>,
}

impl TempSpool {
    /// Files in `directory`, `quota` bytes together.
    pub fn new(directory: impl Into<PathBuf>, quota: u64) -> Self {
        Self { directory: directory.into(), left: Arc::new(AtomicU64::new(quota)) }
    }

    /// Bytes of the quota that are free.
    pub fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    fn open(&self, bytes_max: u64) -> io::Result<TempFile> {
        let take = |left: u64| left.checked_sub(bytes_max);
        self.left
            .fetch_update(Relaxed, Relaxed, take)
            .map_err(|left| io::Error::other(format!("the spool has {left} bytes left, {bytes_max} are needed")))?;
        let quota = Quota { left: self.left.clone(), bytes: bytes_max };
        Ok(TempFile { file: tempfile::tempfile_in(&self.directory)?, length: 0, quota })
    }
}

impl Spool for TempSpool {
    type Error = io::Error;
    type File = TempFile;
    type Create = Ready<io::Result<TempFile>>;

    fn create(&self, bytes_max: u64) -> Self::Create {
        ready(self.open(bytes_max))
    }
}

/// Bytes of a spool's quota, given back by drop.
#[derive(Debug)]
struct Quota {
    left: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Relaxed);
    }
}

/// An unlinked temporary file.
///
/// No example: see [`TempSpool`].
#[derive(Debug)]
pub struct TempFile {
    file: File,
    /// `length <= quota.bytes`.
    length: u64,
    quota: Quota,
}

impl TempFile {
    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file, to read at random. It stays within the quota until this is dropped.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl SpoolFile for TempFile {
    type Error = io::Error;

    fn poll_append(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() as u64 > self.quota.bytes - self.length {
            return Poll::Ready(Err(io::Error::other("the file outgrows the bytes it was made for")));
        }
        Poll::Ready(self.file.write(bytes).inspect(|written| self.length += *written as u64))
    }

    fn poll_read_at(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let end = self.length;
        let mut read = || {
            self.file.seek(SeekFrom::Start(offset))?;
            let read = io::Read::read(&mut self.file, buffer)?;
            self.file.seek(SeekFrom::Start(end))?;
            Ok(read)
        };
        Poll::Ready(read())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::poll_fn};

    use super::*;

    #[test]
    fn files_stay_within_the_quota_and_leave_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let spool = TempSpool::new(directory.path(), 10);
        let mut file = spool.create(6).now_or_never().unwrap().unwrap();
        assert!(spool.create(5).now_or_never().unwrap().is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let mut append = |bytes: &'static [u8]| poll_fn(|cx| Pin::new(&mut file).poll_append(cx, bytes)).now_or_never();
        assert_eq!(append(b"abc").unwrap().unwrap(), 3);
        assert_eq!(append(b"def").unwrap().unwrap(), 3);
        assert!(append(b"g").unwrap().is_err());
        let mut buffer = [0; 4];
        let read = poll_fn(|cx| Pin::new(&mut file).poll_read_at(cx, 2, &mut buffer)).now_or_never();
        assert_eq!((read.unwrap().unwrap(), &buffer), (4, b"cdef"));
        drop(file);
        assert_eq!(spool.left(), 10);
    }
}
