//! Zip archives that cannot be streamed safely, read at random from a spooled file.
//!
//! A stored entry with a data descriptor has no end that a stream can see; the central directory,
//! at the end of the file, tells it. The `zip` crate reads that; the limits are kept here, on
//! what it really reads and gives, not on what the archive declares.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    error::Error as StdError,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use narrows_core::unpack::Limits;
use zip::ZipArchive;

/// Most bytes of a central directory that are read: about 4,000 entries.
const DIRECTORY_BYTES_MAX: u64 = 256 << 10;

/// Memory that reading it takes at most, in bytes.
pub const RANDOM_ACCESS_BYTES: u64 = 2 << 20;

/// Calls `visit` with the path and the bytes of each file in `archive`; directories are left out.
/// Gives the number of files.
///
/// Paths are relative and stay below any directory they are joined to. Checksums are checked by
/// the time a reader is at its end. Blocks the thread. Reading the central directory takes up to
/// [`RANDOM_ACCESS_BYTES`] of memory that no budget is charged for: reserve them. Archives with
/// the end of a large one (zip64) are refused.
///
/// # Errors
///
/// [`RandomAccessError`]; what `visit` has got by then is not verified as a whole.
pub fn for_each_entry(
    archive: &File,
    limits: &Limits,
    mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<u64, RandomAccessError> {
    refuse_zip64(archive)?;
    let allowance = Arc::new(AtomicU64::new(DIRECTORY_BYTES_MAX));
    let metered = Metered { file: archive.try_clone()?, allowance: allowance.clone() };
    let mut zip = ZipArchive::new(io::BufReader::with_capacity(4 << 10, metered))?;
    allowance.store(u64::MAX, Relaxed);
    if zip.len() > limits.entries_max as usize {
        return Err(RandomAccessError::Limit("entries"));
    }
    let length = archive.metadata()?.len();
    let mut total = 0;
    let mut files = 0;
    let mut seen = BTreeSet::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index)?;
        if entry.is_dir() {
            continue;
        }
        let safe = |path: &str| {
            !path.contains(|c: char| c == '\\' || c == ':' || c.is_control())
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
                && path.len() <= usize::from(limits.name_bytes_max)
        };
        let Some(path) = entry.name().ok().map(Cow::into_owned).filter(|path| safe(path)) else {
            return Err(RandomAccessError::UnsafeName(entry.name()?.chars().take(200).collect()));
        };
        if !seen.insert(path.clone()) {
            return Err(RandomAccessError::UnsafeName(format!("{path} (twice)")));
        }
        let mut reader = Limited { inner: &mut entry, limits, length, entry_bytes: 0, total: &mut total, over: None };
        let visited = visit(&path, &mut reader);
        if let Some(over) = reader.over {
            return Err(RandomAccessError::Limit(over));
        }
        visited?;
        files += 1;
    }
    Ok(files)
}

/// Refuses archives whose end is that of a large one: the `zip` crate takes memory for as many
/// entries, and for as long a record, as that declares. It searches the end of the file for one,
/// as far as it may read.
fn refuse_zip64(mut archive: &File) -> Result<(), RandomAccessError> {
    const LOCATOR: &[u8] = b"PK\x06\x07"; // APPNOTE 4.3.15
    let start = archive.metadata()?.len().saturating_sub(DIRECTORY_BYTES_MAX + 64);
    archive.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    archive.take(DIRECTORY_BYTES_MAX + 64).read_to_end(&mut end)?;
    match end.windows(LOCATOR.len()).any(|bytes| bytes == LOCATOR) {
        true => Err(RandomAccessError::Limit("zip64 archives")),
        false => Ok(()),
    }
}

/// Refuses to be read further than an allowance.
struct Metered {
    file: File,
    allowance: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.load(Relaxed);
        // One byte more than is allowed tells, and no more memory than that is touched.
        let most = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        if left != u64::MAX {
            let left = left.checked_sub(read as u64);
            self.allowance.store(left.ok_or_else(|| io::Error::other("the central directory is too large"))?, Relaxed);
        }
        Ok(read)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Counts what an entry really gives.
struct Limited<'a, R> {
    inner: R,
    limits: &'a Limits,
    length: u64,
    entry_bytes: u64,
    total: &'a mut u64,
    /// The limit that was exceeded.
    over: Option<&'static str>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.entry_bytes += read as u64;
        *self.total += read as u64;
        let ratio_bytes = self.length.saturating_mul(self.limits.ratio_max.into()).max(self.limits.ratio_floor);
        let over = if self.entry_bytes > self.limits.entry_bytes_max {
            "entry bytes"
        } else if *self.total > self.limits.archive_bytes_max {
            "archive bytes"
        } else if *self.total > ratio_bytes {
            "ratio"
        } else {
            return Ok(read);
        };
        self.over = Some(over);
        Err(io::Error::other(over))
    }
}

/// Why an archive could not be read at random.
#[derive(Debug)]
#[non_exhaustive]
pub enum RandomAccessError {
    /// The archive is malformed, or of a kind that the `zip` crate does not read.
    Archive(zip::result::ZipError),
    /// Reading or storing failed.
    Io(io::Error),
    /// An entry's name could leave the directory, or is too long.
    UnsafeName(String),
    /// The named limit was exceeded.
    Limit(&'static str),
}

impl fmt::Display for RandomAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::UnsafeName(name) => write!(f, "unsafe entry name {name:?}"),
            Self::Limit(limit) => write!(f, "over the limit of {limit}"),
        }
    }
}

impl StdError for RandomAccessError {}

impl From<zip::result::ZipError> for RandomAccessError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Archive(error)
    }
}

impl From<io::Error> for RandomAccessError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
