//! Options: limits, and what may be let pass.

use std::sync::Arc;

use crate::{format::Format, zip::lengths::StoredLengths};

/// How to decode.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format, or `None` to tell it from the content.
    pub format: Option<Format>,
    /// What the content must be if it is told from the content; [`ErrorKind::WrongFormat`](crate::ErrorKind::WrongFormat)
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
    /// Lengths of stored entries with data descriptors, learned from the central directory of the
    /// same bytes. Without them such entries cannot be streamed. They are checked like declared
    /// lengths: against the descriptor behind the data, the checksum and the directory.
    pub stored_lengths: Option<Arc<StoredLengths>>,
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
