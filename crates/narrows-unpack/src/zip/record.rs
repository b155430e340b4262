//! Parsers of the records of a zip (APPNOTE 6.3.10, section 4.3), one per record.
//!
//! Each takes a slice that is known to be long enough for the record's fixed part.

use crate::error::{ErrorKind, Unsupported};

pub(super) const LOCAL_HEADER: u32 = 0x0403_4b50;
pub(super) const CENTRAL_HEADER: u32 = 0x0201_4b50;
pub(super) const DESCRIPTOR: u32 = 0x0807_4b50;
pub(super) const END64: u32 = 0x0606_4b50;
pub(super) const LOCATOR64: u32 = 0x0706_4b50;
pub(super) const END: u32 = 0x0605_4b50;
pub(super) const DIRECTORY_SIGNATURE: u32 = 0x0505_4b50;

pub(super) const LOCAL_HEADER_BYTES: usize = 30;
pub(super) const CENTRAL_HEADER_BYTES: usize = 46;
pub(super) const END64_BYTES: usize = 56;
pub(super) const LOCATOR64_BYTES: usize = 20;
pub(super) const END_BYTES: usize = 22;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

const ENCRYPTED: u16 = 1;
pub(super) const HAS_DESCRIPTOR: u16 = 1 << 3;
const PATCHED: u16 = 1 << 5;
const STRONG_ENCRYPTION: u16 = 1 << 6;
pub(super) const UTF8: u16 = 1 << 11;
const MASKED_HEADERS: u16 = 1 << 13;

/// The flags on which local header and directory have to agree, the descriptor's apart.
pub(super) const COMPARED_FLAGS: u16 = ENCRYPTED | PATCHED | STRONG_ENCRYPTION | UTF8 | MASKED_HEADERS;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// What a local header and a central header both tell of an entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
    /// Offset of the local header; only a central header tells it.
    pub(super) offset: u64,
}

impl Header {
    /// `record` is a whole local header: fixed part, name, extra field.
    pub(super) fn local(record: &[u8]) -> Result<Self, ErrorKind> {
        let mut header = Self {
            flags: u16_at(record, 6),
            method: u16_at(record, 8),
            crc: u32_at(record, 14),
            compressed_size: u32_at(record, 18).into(),
            size: u32_at(record, 22).into(),
            offset: 0,
        };
        let name_end = LOCAL_HEADER_BYTES + usize::from(u16_at(record, 26));
        let name = &record[LOCAL_HEADER_BYTES..name_end];
        header.read_extra(&record[name_end..], name, false)?;
        header.check_support()?;
        Ok(header)
    }

    /// `record` is a central header without its comment.
    pub(super) fn central(record: &[u8]) -> Result<Self, ErrorKind> {
        if !matches!(u16_at(record, 34), 0 | u16::MAX) {
            return Err(ErrorKind::Unsupported(Unsupported::MultiDisk));
        }
        let mut header = Self {
            flags: u16_at(record, 8),
            method: u16_at(record, 10),
            crc: u32_at(record, 16),
            compressed_size: u32_at(record, 20).into(),
            size: u32_at(record, 24).into(),
            offset: u32_at(record, 42).into(),
        };
        let name_end = CENTRAL_HEADER_BYTES + usize::from(u16_at(record, 28));
        let name = &record[CENTRAL_HEADER_BYTES..name_end];
        header.read_extra(&record[name_end..], name, true)?;
        Ok(header)
    }

    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & HAS_DESCRIPTOR != 0
    }

    fn check_support(&self) -> Result<(), ErrorKind> {
        let unsupported = if self.flags & (ENCRYPTED | STRONG_ENCRYPTION | MASKED_HEADERS) != 0 {
            Unsupported::Encryption
        } else if self.flags & PATCHED != 0 {
            Unsupported::Patch
        } else if !matches!(self.method, STORED | DEFLATED) {
            Unsupported::Method(self.method)
        } else {
            return Ok(());
        };
        Err(ErrorKind::Unsupported(unsupported))
    }

    /// Reads the extra fields (APPNOTE 4.5): zip64 sizes, and a second name that must be the first.
    fn read_extra(&mut self, mut extra: &[u8], name: &[u8], central: bool) -> Result<(), ErrorKind> {
        let (mut zip64, mut unicode_path) = (None, false);
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some(field) = extra.get(4..4 + length) else {
                return Err(ErrorKind::BadHeader("an extra field runs past its area"));
            };
            match id {
                0x0001 if zip64.replace(field).is_some() => {
                    return Err(ErrorKind::BadHeader("two zip64 extra fields"));
                }
                0x7075 if std::mem::replace(&mut unicode_path, true) => {
                    return Err(ErrorKind::BadHeader("two Unicode path extra fields"));
                }
                0x7075 => check_unicode_path(field, name)?,
                _ => {}
            }
            extra = &extra[4 + length..];
        }
        // Some aligners pad with up to three zeros.
        if extra.iter().any(|&byte| byte != 0) {
            return Err(ErrorKind::BadHeader("bytes after the last extra field"));
        }
        self.read_zip64(zip64, central)
    }

    /// Takes from the zip64 field what the fixed part marks as being there, in APPNOTE's order.
    fn read_zip64(&mut self, field: Option<&[u8]>, central: bool) -> Result<(), ErrorKind> {
        const SENTINEL: u64 = u32::MAX as u64;
        let mut rest = field.unwrap_or_default();
        let mut next = |what: &'static str| {
            let value = rest.get(..8).map(|bytes| u64_at(bytes, 0));
            rest = rest.get(8..).unwrap_or_default();
            value.ok_or(ErrorKind::BadHeader(what))
        };
        // With a descriptor the local sizes are not yet known, whatever stands there.
        let unknown = !central && self.has_descriptor() && field.is_none();
        if self.size == SENTINEL && !unknown {
            self.size = next("no uncompressed size in the zip64 extra field")?;
        }
        if self.compressed_size == SENTINEL && !unknown {
            self.compressed_size = next("no compressed size in the zip64 extra field")?;
        }
        if central && self.offset == SENTINEL {
            self.offset = next("no header offset in the zip64 extra field")?;
        }
        Ok(())
    }
}

/// Info-ZIP's Unicode path (APPNOTE 4.6.9) may repeat the name, not change it. It is void where
/// its checksum is not that of the name.
fn check_unicode_path(field: &[u8], name: &[u8]) -> Result<(), ErrorKind> {
    if field.len() < 5 {
        return Err(ErrorKind::BadHeader("Unicode path extra field too short"));
    }
    let applies = field[0] == 1 && u32_at(field, 1) == crc32fast::hash(name);
    if applies && &field[5..] != name {
        return Err(ErrorKind::UnicodePathDiffers);
    }
    Ok(())
}

/// The end record, and the zip64 one where it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndRecord {
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_offset: u64,
}

impl EndRecord {
    /// `deferred` says that a zip64 record stands before it, which it may leave numbers to.
    pub(super) fn parse(record: &[u8], deferred: bool) -> Result<Self, ErrorKind> {
        let (this_disk, start_disk) = (u16_at(record, 4), u16_at(record, 6));
        let on_disk = u16_at(record, 8);
        let entries = u16_at(record, 10);
        let one_disk = match (this_disk, start_disk) {
            (0, 0) => true,
            (u16::MAX, u16::MAX) => deferred,
            _ => false,
        };
        if !one_disk || on_disk != entries {
            return Err(ErrorKind::Unsupported(Unsupported::MultiDisk));
        }
        Ok(Self {
            entries: entries.into(),
            directory_bytes: u32_at(record, 12).into(),
            directory_offset: u32_at(record, 16).into(),
        })
    }

    pub(super) fn parse64(record: &[u8]) -> Result<Self, ErrorKind> {
        if u64_at(record, 4) != END64_BYTES as u64 - 12 {
            return Err(ErrorKind::Unsupported(Unsupported::ExtensibleData));
        }
        if u32_at(record, 16) != 0 || u32_at(record, 20) != 0 || u64_at(record, 24) != u64_at(record, 32) {
            return Err(ErrorKind::Unsupported(Unsupported::MultiDisk));
        }
        Ok(Self {
            entries: u64_at(record, 32),
            directory_bytes: u64_at(record, 40),
            directory_offset: u64_at(record, 48),
        })
    }

    /// Compares with what was read; offsets may count from `base`.
    pub(super) fn compare(&self, actual: &Self, base: u64) -> Result<(), ErrorKind> {
        if self.entries != actual.entries {
            return Err(ErrorKind::CountMismatch { expected: self.entries, actual: actual.entries });
        }
        if self.directory_bytes != actual.directory_bytes {
            let (expected, actual) = (self.directory_bytes, actual.directory_bytes);
            return Err(ErrorKind::DirectorySizeMismatch { expected, actual });
        }
        let (expected, actual) = (self.directory_offset, actual.directory_offset);
        if expected != actual && expected.checked_add(base) != Some(actual) {
            return Err(ErrorKind::DirectoryOffsetMismatch { expected, actual });
        }
        Ok(())
    }
}

/// The four layouts of a data descriptor (APPNOTE 4.3.9): with or without a signature, with 32 or
/// 64 bit sizes. Nothing says which it is, so the longest that matches in full is taken.
///
/// `bytes` are the 24 bytes behind the data; a whole archive always has them, since a central
/// header and an end record follow. Gives the descriptor's length.
pub(super) fn match_descriptor(bytes: &[u8], crc: u32, compressed_size: u64, size: u64) -> Result<usize, ErrorKind> {
    let actual = (crc, compressed_size, size);
    let long = |at| (u32_at(bytes, at), u64_at(bytes, at + 4), u64_at(bytes, at + 12));
    let short = |at| (u32_at(bytes, at), u64::from(u32_at(bytes, at + 4)), u64::from(u32_at(bytes, at + 8)));
    let signed = u32_at(bytes, 0) == DESCRIPTOR;
    if signed && long(4) == actual {
        return Ok(24);
    }
    if long(0) == actual {
        return Ok(20);
    }
    if signed && short(4) == actual {
        return Ok(16);
    }
    if short(0) == actual {
        return Ok(12);
    }
    let stored = short(if signed { 4 } else { 0 });
    Err(if stored.0 != crc {
        ErrorKind::CrcMismatch { expected: stored.0, actual: crc }
    } else if stored.1 != compressed_size {
        ErrorKind::CompressedSizeMismatch { expected: stored.1, actual: compressed_size }
    } else {
        ErrorKind::SizeMismatch { expected: stored.2, actual: size }
    })
}
