//! Limits, what may be let pass, and the meter that counts what really came out.

use crate::{
    detect::Format,
    error::{ErrorKind, LimitKind},
    inflate, zip, zstd,
};

/// How to decode.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format, or `None` to tell it from the content.
    pub format: Option<Format>,
    /// What the content must be if it is told from the content; [`ErrorKind::WrongFormat`]
    /// otherwise. A name that ends in `.zip` is such a promise: an error page is not a zip.
    pub expected: Option<Format>,
    /// Whether what was expected may have been decoded on the way: then plain bytes will do, too.
    pub or_plain: bool,
    /// Limits on real output.
    pub limits: Limits,
    /// Deviations to let pass.
    pub allow: Allow,
    /// Keys the hashes by which zip names are compared. Choose it at random where archives are
    /// hostile: whoever knows it can make two names collide.
    pub seed: u64,
}

impl Options {
    /// The most heap memory a decoder with these options uses, in bytes, its output aside.
    pub fn memory_max(&self) -> u64 {
        let limits = &self.limits;
        let zip = inflate::MEMORY_MAX + zip::memory_max(limits);
        let gzip = inflate::MEMORY_MAX;
        let zstd = zstd::memory_max(limits.zstd_window_max);
        // A format that must come needs no memory for those that must not.
        match self.format.or(self.expected) {
            Some(Format::Plain) => 0,
            Some(Format::Zip) => zip,
            Some(Format::Gzip) => gzip,
            Some(Format::Zstd) => zstd,
            None => zip.max(gzip).max(zstd),
        }
    }
}

/// Limits, enforced on bytes that really came out. Declared sizes can only refuse earlier.
///
/// Archives inside archives are never opened: nesting is the caller's choice, one level a time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Uncompressed bytes of one entry. Default 16 GiB.
    pub entry_bytes_max: u64,
    /// Uncompressed bytes of all entries. Default 64 GiB.
    pub archive_bytes_max: u64,
    /// Entries of an archive; each costs 48 bytes of the decoder's memory. Default 65,536.
    pub entries_max: u32,
    /// Uncompressed bytes for each compressed byte of an entry, once the entry is past
    /// [`ratio_floor`](Self::ratio_floor). Deflate can reach 1,032. Default 200.
    pub ratio_max: u32,
    /// Uncompressed bytes of an entry below which its ratio does not matter. Default 16 MiB.
    pub ratio_floor: u64,
    /// Bytes of an entry's name. Default 4,096.
    pub name_bytes_max: u16,
    /// Window of a zstd frame, in bytes, which is memory. Default 2 MiB, what `zstd -3` uses.
    pub zstd_window_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entry_bytes_max: 16 << 30,
            archive_bytes_max: 64 << 30,
            entries_max: 65_536,
            ratio_max: 200,
            ratio_floor: 16 << 20,
            name_bytes_max: 4096,
            zstd_window_max: 2 << 20,
        }
    }
}

/// Deviations of zip archives that are errors unless they are named here. All default to `false`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allow {
    /// Data in front of the first entry, as in self-extracting archives. It is skipped up to the
    /// first local header, at most 1 MiB; offsets may count from there or from the file's start.
    pub prefixed_data: bool,
    /// Any data after the end record (zeros always pass).
    pub trailing_data: bool,
    /// Several entries of one name.
    pub duplicate_names: bool,
    /// Flag bit 3 (data descriptor) set in the local header or the directory only.
    pub descriptor_flag_mismatch: bool,
    /// An archive comment with control bytes or an end record in it.
    pub suspicious_comment: bool,
}

/// Counts what really came out against the limits.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    entries: u64,
    entry_bytes: u64,
    archive_bytes: u64,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, entries: 0, entry_bytes: 0, archive_bytes: 0 }
    }

    /// Begins an entry and gives its index.
    pub(crate) fn entry(&mut self) -> Result<u64, ErrorKind> {
        if self.entries >= u64::from(self.limits.entries_max) {
            return Err(ErrorKind::Limit { limit: LimitKind::Entries, max: self.entries });
        }
        self.entry_bytes = 0;
        self.entries += 1;
        Ok(self.entries - 1)
    }

    /// How many more bytes the current entry may give before [`Meter::count`] refuses.
    pub(crate) fn allowance(&self) -> u64 {
        let entry = self.limits.entry_bytes_max - self.entry_bytes;
        entry.min(self.limits.archive_bytes_max - self.archive_bytes)
    }

    /// Counts `bytes` that came out of the entry, of which `consumed` compressed bytes went in.
    pub(crate) fn count(&mut self, bytes: u64, consumed: u64) -> Result<(), ErrorKind> {
        let limits = &self.limits;
        let over = |limit, max| Err(ErrorKind::Limit { limit, max });
        if bytes > limits.entry_bytes_max - self.entry_bytes {
            return over(LimitKind::EntryBytes, limits.entry_bytes_max);
        }
        if bytes > limits.archive_bytes_max - self.archive_bytes {
            return over(LimitKind::ArchiveBytes, limits.archive_bytes_max);
        }
        self.entry_bytes += bytes;
        self.archive_bytes += bytes;
        let ratio_max = u64::from(limits.ratio_max);
        if self.entry_bytes > limits.ratio_floor && self.entry_bytes > consumed.saturating_mul(ratio_max) {
            return over(LimitKind::Ratio, ratio_max);
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn entry_bytes(&self) -> u64 {
        self.entry_bytes
    }
}
