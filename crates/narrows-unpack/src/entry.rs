//! What a decoder tells: entries, their ends, and why it stopped.

use crate::{format::Format, name, name::UnsafeName};

/// What one call of [`Unpacker::step`](crate::Unpacker::step) did.
#[derive(Debug)]
#[must_use]
pub struct Step {
    /// Bytes of the input that were used; lend the rest again.
    pub consumed: usize,
    /// Why the decoder stopped.
    pub event: Event,
}

/// Why a decoder stopped.
#[derive(Debug)]
pub enum Event {
    /// All input was used. Lend more, or say that this is the end.
    NeedInput,
    /// The buffer is full. Take its bytes, clear it, and call again.
    Full,
    /// An entry begins; what is appended to the buffer from here on is its data.
    Entry(Box<Entry>),
    /// The entry that began last is complete: its sizes and checksum are right.
    EntryEnd(EntryEnd),
    /// The input is complete and consistent. Nothing follows.
    End,
}

/// The head of an entry: all that is known before its data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Position among the entries, from 0.
    pub index: u64,
    /// Offset of the entry's header in the compressed input, in bytes.
    pub offset: u64,
    /// The format it came in.
    pub format: Format,
    /// Uncompressed size in bytes as the header declares it: a hint, never a promise.
    pub declared_size: Option<u64>,
    /// The name as stored; empty where the format has none.
    pub(crate) name: Vec<u8>,
    /// Whether the archive says that the name is UTF-8.
    pub(crate) utf8: bool,
}

impl Entry {
    /// The name's bytes as the archive has them.
    pub fn name_bytes(&self) -> &[u8] {
        &self.name
    }

    /// The name as text: UTF-8 where it is declared or valid, else code page 437, the zip
    /// format's historical encoding (APPNOTE 6.3.10, appendix D).
    ///
    /// Fit to be shown, not to be opened: see [`Entry::safe_path`].
    pub fn name(&self) -> String {
        name::decode(&self.name, self.utf8)
    }

    /// Whether the entry is a directory: its name ends in a slash.
    pub fn is_directory(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// The name as a relative path that stays below any directory it is joined to.
    ///
    /// # Errors
    ///
    /// [`UnsafeName`] where the name is empty, absolute, has `.`, `..` or empty components, a drive
    /// or a network prefix, a backslash, a control character, or is declared UTF-8 and is not.
    pub fn safe_path(&self) -> Result<String, UnsafeName> {
        name::safe_path(&self.name, self.utf8)
    }
}

/// The facts about an entry once all its data has been seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryEnd {
    /// Uncompressed bytes that really came out.
    pub size: u64,
    /// Compressed bytes that went in.
    pub compressed_size: u64,
    /// CRC-32 of the uncompressed bytes, where the format has one and it was checked.
    pub crc32: Option<u32>,
}
