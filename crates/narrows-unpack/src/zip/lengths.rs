//! What only the central directory tells: how long stored entries with data descriptors are.
//!
//! A stored entry with a descriptor has no end that a stream can see. Whoever has the whole
//! archive at hand reads its directory first, and gives the lengths to the streaming decoder
//! ([`Options::stored_lengths`](crate::Options::stored_lengths)), which then reads the same bytes
//! with the same checks as ever. So nothing learned here is believed: a wrong length fails at the
//! descriptor, the checksum, the next record or the directory.
//!
//! ```text
//!  read the last TAIL_BYTES -> DirectoryAt::find -> read that range -> StoredLengths::push, complete
//! ```

use super::record::{
    CENTRAL_HEADER, CENTRAL_HEADER_BYTES, DIRECTORY_SIGNATURE, END, END_BYTES, END64, END64_BYTES, EndRecord, Header,
    LOCATOR64, LOCATOR64_BYTES, STORED, u16_at, u32_at,
};
use crate::error::{ErrorKind, LimitKind};

/// How much of an archive's end [`DirectoryAt::find`] needs: the end record with the longest
/// comment, and the records of zip64 before it.
pub const TAIL_BYTES: u64 = (END_BYTES + u16::MAX as usize + LOCATOR64_BYTES + END64_BYTES) as u64;

/// Where the central directory stands, as the end record has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DirectoryAt {
    /// Offset of its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl DirectoryAt {
    /// Finds the end record in `tail`, the last [`TAIL_BYTES`] of an archive of `archive_bytes`
    /// bytes, or all of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Truncated`] where there is none, [`ErrorKind::DirectoryOffsetMismatch`] where the
    /// directory would not be inside the archive.
    pub fn find(tail: &[u8], archive_bytes: u64) -> Result<Self, ErrorKind> {
        let is_end = |at: &usize| {
            let comment_end = at + END_BYTES + usize::from(u16_at(tail, at + 20));
            // Zeros may follow, as they may where an archive is streamed.
            u32_at(tail, *at) == END && tail.get(comment_end..).is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
        };
        let last = tail.len().checked_sub(END_BYTES).ok_or(ErrorKind::Truncated)?;
        let at = (0..=last).rev().find(is_end).ok_or(ErrorKind::Truncated)?;
        let locator = at.checked_sub(LOCATOR64_BYTES).filter(|at| u32_at(tail, *at) == LOCATOR64);
        let record = match locator.and_then(|locator| locator.checked_sub(END64_BYTES)) {
            Some(end64) if u32_at(tail, end64) == END64 => EndRecord::parse64(&tail[end64..])?,
            _ => EndRecord::parse(&tail[at..], locator.is_some())?,
        };
        let (start, bytes) = (record.directory_offset, record.directory_bytes);
        match start.checked_add(bytes) {
            Some(end) if end <= archive_bytes => Ok(Self { start, bytes }),
            _ => Err(ErrorKind::DirectoryOffsetMismatch { expected: start, actual: archive_bytes }),
        }
    }
}

/// Lengths of the stored entries with data descriptors of one archive, by offset.
#[derive(Debug)]
pub struct StoredLengths {
    /// Offsets of local headers with their lengths; sorted once the directory is complete. Its
    /// capacity is never exceeded.
    lengths: Vec<(u64, u64)>,
    /// The central header being gathered.
    record: Vec<u8>,
    /// Bytes of a comment still to be passed over.
    skip: usize,
    entries_max: usize,
}

impl StoredLengths {
    /// Room for a directory of `directory_bytes` with at most `entries_max` entries. Allocates
    /// [`memory_max`](Self::memory_max) for the same figures and no more.
    pub fn new(directory_bytes: u64, entries_max: u32) -> Self {
        let entries_max = Self::entries(directory_bytes, entries_max);
        Self { lengths: Vec::with_capacity(entries_max), record: Vec::new(), skip: 0, entries_max }
    }

    /// Heap memory, in bytes, that the lengths of such a directory take.
    pub fn memory_max(directory_bytes: u64, entries_max: u32) -> u64 {
        let longest = CENTRAL_HEADER_BYTES + 2 * usize::from(u16::MAX);
        (Self::entries(directory_bytes, entries_max) * size_of::<(u64, u64)>() + 2 * longest) as u64
    }

    fn entries(directory_bytes: u64, entries_max: u32) -> usize {
        let fit = usize::try_from(directory_bytes / CENTRAL_HEADER_BYTES as u64).unwrap_or(usize::MAX);
        fit.min(entries_max as usize)
    }

    /// Reads the next bytes of the directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`] where a record is malformed, or there are more entries than allowed.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ErrorKind> {
        loop {
            let skipped = self.skip.min(bytes.len());
            (self.skip, bytes) = (self.skip - skipped, &bytes[skipped..]);
            let mut needed = CENTRAL_HEADER_BYTES;
            if self.record.len() >= 4 && u32_at(&self.record, 0) == DIRECTORY_SIGNATURE {
                return Ok(()); // nothing but a signature follows
            }
            if self.record.len() >= needed {
                needed += usize::from(u16_at(&self.record, 28)) + usize::from(u16_at(&self.record, 30));
            }
            let take = (needed - self.record.len()).min(bytes.len());
            self.record.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.record.len() < needed {
                return Ok(());
            }
            if u32_at(&self.record, 0) != CENTRAL_HEADER {
                return Err(ErrorKind::BadSignature { actual: u32_at(&self.record, 0) });
            }
            let names = usize::from(u16_at(&self.record, 28)) + usize::from(u16_at(&self.record, 30));
            if self.record.len() == CENTRAL_HEADER_BYTES + names {
                self.note()?;
            }
        }
    }

    fn note(&mut self) -> Result<(), ErrorKind> {
        let header = Header::central(&self.record)?;
        if header.method == STORED && header.has_descriptor() {
            if self.lengths.len() == self.entries_max {
                let max = self.entries_max as u64;
                return Err(ErrorKind::Limit { limit: LimitKind::Entries, max });
            }
            self.lengths.push((header.offset, header.compressed_size));
        }
        self.skip = usize::from(u16_at(&self.record, 32));
        self.record.clear();
        Ok(())
    }

    /// The directory is complete. Only now are the lengths found.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.lengths.sort_unstable();
        self.record = Vec::new();
        self
    }

    /// Entries whose length was learned.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Length of the entry whose local header is at `offset`.
    pub(crate) fn of(&self, offset: u64) -> Option<u64> {
        let at = self.lengths.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(self.lengths[at].1)
    }
}
