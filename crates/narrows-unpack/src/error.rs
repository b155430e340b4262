//! One error type: what is wrong, in which entry, at which offset.

use std::fmt;

use crate::format::Format;

/// What is wrong with the input. None of these is helped by trying again with the same bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The entry it was found in or at.
    pub entry: Option<Box<str>>,
    /// Offset in the compressed input up to which everything had been read, in bytes.
    pub offset: u64,
}

impl Error {
    /// A stable word for the kind, fit for logs and tests: `crc_mismatch`, `truncated`, ...
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "entry {entry:?}: ")?;
        }
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for Error {}

macro_rules! error_kinds {
    ($( $(#[$doc:meta])* $variant:ident $({ $($field:ident : $type:ty),* })? $(($inner:ty))? => $code:literal ),* $(,)?) => {
        /// The kinds of fault, each with a stable [code](ErrorKind::code).
        #[derive(Clone, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // the fields are `expected` and `actual`, in bytes or as CRC-32
        pub enum ErrorKind { $( $(#[$doc])* $variant $({ $($field: $type),* })? $(($inner))? ),* }

        impl ErrorKind {
            /// A stable word for the kind.
            pub fn code(&self) -> &'static str {
                match self { $( error_kinds!(@pattern $variant $({ $($field),* })? $(($inner))?) => $code ),* }
            }
        }
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident { $($field:ident),* }) => { Self::$variant { .. } };
    (@pattern $variant:ident ($inner:ty)) => { Self::$variant(_) };
}

error_kinds! {
    /// The input ended before the format did.
    Truncated => "truncated",
    /// The content is not what its name or the caller promised.
    WrongFormat { expected: Format, actual: Format } => "wrong_format",
    /// No record of a zip starts here: a gap between records, or data that is no zip.
    BadSignature { actual: u32 } => "bad_signature",
    /// Bytes other than zeros follow the end.
    TrailingData => "trailing_data",
    /// A header is malformed; the text says how.
    BadHeader(&'static str) => "bad_header",
    /// The deflate stream is invalid (RFC 1951).
    BadDeflate => "bad_deflate",
    /// The zstd stream is invalid (RFC 8878); the decoder's own words.
    BadZstd(Box<str>) => "bad_zstd",
    /// The checksum of what came out differs from the stored one.
    CrcMismatch { expected: u32, actual: u32 } => "crc_mismatch",
    /// The compressed data ends elsewhere than declared.
    CompressedSizeMismatch { expected: u64, actual: u64 } => "compressed_size_mismatch",
    /// More or fewer bytes came out than declared; one more than expected means "at least".
    SizeMismatch { expected: u64, actual: u64 } => "size_mismatch",
    /// Two entries have the same name.
    DuplicateName => "duplicate_name",
    /// The Info-ZIP Unicode path (extra field 0x7075) renames the entry.
    UnicodePathDiffers => "unicode_path_differs",
    /// The central directory names an entry that was not in the stream.
    MissingLocalEntry => "missing_local_entry",
    /// An entry of the stream is not in the central directory.
    MissingCentralEntry => "missing_central_entry",
    /// Two records of the central directory point at one entry.
    DuplicateCentralEntry => "duplicate_central_entry",
    /// Local header and central directory differ in the named field.
    DirectoryMismatch { field: &'static str } => "directory_mismatch",
    /// Flag bit 3 (data descriptor) is set on one side only.
    DescriptorFlagMismatch => "descriptor_flag_mismatch",
    /// The end record's count of entries is wrong.
    CountMismatch { expected: u64, actual: u64 } => "count_mismatch",
    /// The end record's size of the central directory is wrong.
    DirectorySizeMismatch { expected: u64, actual: u64 } => "directory_size_mismatch",
    /// The end record's offset of the central directory is wrong.
    DirectoryOffsetMismatch { expected: u64, actual: u64 } => "directory_offset_mismatch",
    /// The zip64 locator points elsewhere than at the zip64 end record.
    LocatorMismatch { expected: u64, actual: u64 } => "locator_mismatch",
    /// The archive comment holds an end record or control bytes, as a hidden archive would.
    SuspiciousComment => "suspicious_comment",
    /// A feature that cannot be streamed safely, or is not supported.
    Unsupported(Unsupported) => "unsupported",
    /// A limit on what really came out was reached.
    Limit { limit: LimitKind, max: u64 } => "limit",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input ends too early"),
            Self::WrongFormat { expected, actual } => {
                write!(f, "expected {expected}, found {actual}")
            }
            Self::BadSignature { actual } => {
                write!(f, "no zip record starts with {actual:#010x}: a gap, prefixed data, or not a zip")
            }
            Self::TrailingData => f.write_str("data follows the end"),
            Self::BadHeader(what) => write!(f, "malformed header: {what}"),
            Self::BadDeflate => f.write_str("invalid deflate data"),
            Self::BadZstd(what) => write!(f, "invalid zstd data: {what}"),
            Self::CrcMismatch { expected, actual } => {
                write!(f, "CRC-32 is {actual:08x}, {expected:08x} is stored")
            }
            Self::CompressedSizeMismatch { expected, actual } => {
                write!(f, "compressed data takes {actual} bytes, {expected} are declared")
            }
            Self::SizeMismatch { expected, actual } => {
                write!(f, "{actual} bytes came out, {expected} are declared")
            }
            Self::DuplicateName => f.write_str("the name occurs twice"),
            Self::UnicodePathDiffers => f.write_str("its Unicode path differs from its name"),
            Self::MissingLocalEntry => f.write_str("the central directory names an entry that is not there"),
            Self::MissingCentralEntry => f.write_str("an entry is missing from the central directory"),
            Self::DuplicateCentralEntry => f.write_str("the central directory names one entry twice"),
            Self::DirectoryMismatch { field } => {
                write!(f, "local header and central directory differ in {field}")
            }
            Self::DescriptorFlagMismatch => {
                f.write_str("local header and central directory differ in the data descriptor flag")
            }
            Self::CountMismatch { expected, actual } => {
                write!(f, "the end record counts {expected} entries, there are {actual}")
            }
            Self::DirectorySizeMismatch { expected, actual } => {
                write!(f, "the central directory takes {actual} bytes, {expected} are declared")
            }
            Self::DirectoryOffsetMismatch { expected, actual } => {
                write!(f, "the central directory starts at byte {actual}, {expected} is declared")
            }
            Self::LocatorMismatch { expected, actual } => {
                write!(f, "the zip64 end record is at byte {actual}, its locator says {expected}")
            }
            Self::SuspiciousComment => f.write_str("the archive comment could hide another archive"),
            Self::Unsupported(what) => write!(f, "{what}"),
            Self::Limit { limit, max } => write!(f, "more than {max} {limit}"),
        }
    }
}

/// What the streaming decoders refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unsupported {
    /// A stored entry whose length is only given after it: its end can't be told from its data.
    StoredWithDescriptor,
    /// An encrypted entry.
    Encryption,
    /// Compressed patched data (flag bit 5).
    Patch,
    /// A compression method other than stored and deflate; APPNOTE's number.
    Method(u16),
    /// An archive in several parts.
    MultiDisk,
    /// A zip64 end record with an extensible data sector.
    ExtensibleData,
    /// A zstd frame that needs a dictionary.
    Dictionary,
    /// A zstd frame whose window is larger than allowed, in bytes.
    ZstdWindow(u64),
    /// zstd, which this build was made without: the feature `zstd`.
    WithoutZstd,
}

impl Unsupported {
    /// Whether reading the whole file with random access could serve: the archive is sound, but
    /// its entries can only be found through its central directory.
    pub fn needs_random_access(self) -> bool {
        matches!(self, Self::StoredWithDescriptor)
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoredWithDescriptor => {
                f.write_str("a stored entry with a data descriptor cannot be streamed; it needs random access")
            }
            Self::Encryption => f.write_str("the entry is encrypted"),
            Self::Patch => f.write_str("the entry is compressed patched data"),
            Self::Method(method) => write!(f, "compression method {method} is not supported"),
            Self::MultiDisk => f.write_str("the archive is in several parts"),
            Self::ExtensibleData => f.write_str("the zip64 end record has extensible data"),
            Self::Dictionary => f.write_str("the zstd frame needs a dictionary"),
            Self::ZstdWindow(bytes) => {
                write!(f, "the zstd frame needs a window of {bytes} bytes; allow it to read it")
            }
            Self::WithoutZstd => f.write_str("zstd is not in this build; it needs the feature `zstd`"),
        }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LimitKind {
    /// Uncompressed bytes of one entry.
    EntryBytes,
    /// Uncompressed bytes of all entries.
    ArchiveBytes,
    /// Entries.
    Entries,
    /// Uncompressed bytes for each compressed byte.
    Ratio,
    /// Bytes of a name.
    NameBytes,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EntryBytes => "bytes in an entry",
            Self::ArchiveBytes => "bytes in all",
            Self::Entries => "entries",
            Self::Ratio => "bytes out for each byte in",
            Self::NameBytes => "bytes in a name",
        })
    }
}
