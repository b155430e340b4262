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

mod entry;
mod error;
mod format;
mod gzip;
mod inflate;
mod limits;
mod meter;
mod name;
mod plain;
mod unpacker;
mod zip;
#[cfg(feature = "zstd")]
mod zstd;

pub use entry::{Entry, EntryEnd, Event, Step};
pub use error::{Error, ErrorKind, LimitKind, Unsupported};
pub use format::Format;
pub use limits::{Allow, Limits, Options};
pub use name::UnsafeName;
pub use unpacker::Unpacker;
pub use zip::lengths::{DirectoryAt, StoredLengths, TAIL_BYTES};
