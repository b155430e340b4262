//! Streaming decoders for zip, gzip, zstd and plain bytes that read and write nothing themselves.
//!
//! The caller lends whatever compressed bytes have arrived and a buffer of fixed capacity; the
//! decoder says how many bytes it used and why it stopped. It never grows the buffer, never
//! allocates from a declared size, and never searches data for signatures.
//!
//! # The calling loop
//!
//! ```
//! use narrows_unpack::{Event, Options, Unpacker};
//!
//! # fn main() -> Result<(), narrows_unpack::Error> {
//! // A gzip member that holds "hi\n", arriving in two pieces.
//! let gz = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 200, 228, 2, 0, 122, 122, 111, 237, 3, 0, 0, 0];
//! let mut pieces = gz.chunks(10);
//!
//! let mut unpacker = Unpacker::new(Options::default());
//! let mut block = Vec::with_capacity(64 * 1024); // the most that is ever held
//! let mut text = Vec::new();
//! let (mut input, mut end) = (pieces.next().unwrap_or_default(), false);
//! loop {
//!     let step = unpacker.step(input, end, &mut block)?;
//!     input = &input[step.consumed..];
//!     match step.event {
//!         Event::NeedInput => match pieces.next() {
//!             Some(piece) => input = piece,
//!             None => end = true,
//!         },
//!         Event::Full => {
//!             text.extend_from_slice(&block); // hand it over
//!             block.clear();
//!         }
//!         Event::Entry(entry) => assert_eq!(entry.name(), ""),
//!         Event::EntryEnd(_) => {
//!             text.extend_from_slice(&block);
//!             block.clear();
//!         }
//!         Event::End => break,
//!     }
//! }
//! assert_eq!(text, b"hi\n");
//! # Ok(()) }
//! ```
//!
//! # What may be believed, and when
//!
//! Data is handed out before its checksum and, in a zip, before the central directory has been
//! seen. An entry is right only after its [`Event::EntryEnd`]; an archive only after
//! [`Event::End`]. Commit what you made of an entry no earlier.
#![forbid(unsafe_code)]

mod detect;
mod error;
mod gzip;
mod inflate;
mod limits;
mod zip;
mod zstd;

pub use detect::{Format, Unpacker};
pub use error::{Error, ErrorKind, LimitKind, Unsupported};
pub use limits::{Allow, Limits, Options};
pub use zip::name::UnsafeName;

/// What one call of [`Unpacker::step`] did.
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
        zip::name::decode(&self.name, self.utf8)
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
        zip::name::safe_path(&self.name, self.utf8)
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
