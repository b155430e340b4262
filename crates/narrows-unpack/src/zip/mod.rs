//! zip (APPNOTE 6.3.10), read forward, once.
//!
//! The records must follow one another without a gap:
//!
//! ```text
//! (local header, data, [descriptor])*  (central header)*  [signature]  [end64 locator64]  end  zeros*
//! ```
//!
//! Small records are gathered in a scratch buffer; data goes from the input straight to the
//! output. Deflated data ends by its own end mark, stored data by its length: nothing is ever
//! searched for. What was streamed is then compared with the central directory (`directory.rs`).

mod comment;
mod directory;
pub(crate) mod lengths;
mod record;

use std::{mem, sync::Arc};

use self::{
    comment::CommentCheck,
    directory::Directory,
    lengths::StoredLengths,
    record::{
        CENTRAL_HEADER, CENTRAL_HEADER_BYTES, DIRECTORY_SIGNATURE, END, END_BYTES, END64, END64_BYTES, EndRecord,
        Header, LOCAL_HEADER, LOCAL_HEADER_BYTES, LOCATOR64, LOCATOR64_BYTES, STORED, UTF8, match_descriptor, u16_at,
        u32_at, u64_at,
    },
};
use crate::{
    entry::{Entry, EntryEnd, Event},
    error::{ErrorKind, LimitKind, Unsupported},
    format::Format,
    inflate::{Inflate, Stop},
    limits::{Allow, Limits},
    meter::Meter,
};

/// How far [`Allow::prefixed_data`] looks for the first local header.
const PREFIX_MAX: u64 = 1 << 20;

/// Heap of the records: the scratch may hold the largest header (and its predecessor while it
/// grows), names are handed out as copies, and each entry is kept until it is confirmed.
pub(crate) fn memory_max(limits: &Limits) -> u64 {
    let header = CENTRAL_HEADER_BYTES as u64 + u64::from(limits.name_bytes_max) + u64::from(u16::MAX);
    let chunks = u64::from(limits.entries_max).div_ceil(directory::CHUNK_BYTES / directory::ENTRY_BYTES);
    let table = chunks * (directory::CHUNK_BYTES + 4 * size_of::<Vec<()>>() as u64);
    2 * header + 4 * u64::from(limits.name_bytes_max) + table + 1024
}

pub(crate) struct Zip {
    state: State,
    allow: Allow,
    /// Of stored entries with descriptors, where the directory was read first.
    stored_lengths: Option<Arc<StoredLengths>>,
    meter: Meter,
    inflate: Inflate,
    directory: Directory,
    /// The record being gathered. Never longer than the longest header.
    scratch: Vec<u8>,
    /// Offset of the next input byte.
    position: u64,
    /// Where offsets count from: behind prefixed data, else 0.
    base: u64,
    entry: Current,
    directory_start: Option<u64>,
    /// The zip64 end record and where it stands.
    end64: Option<(EndRecord, u64)>,
    locator64_seen: bool,
    comment: CommentCheck,
}

/// The entry whose data is being read.
#[derive(Default)]
struct Current {
    header: Header,
    name_hash: u64,
    /// Stored bytes still to come.
    stored_left: u64,
    stored_crc: crc32fast::Hasher,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Looking for the first local header behind prefixed data; the window holds the last bytes.
    Prefix(u32),
    Signature,
    LocalHeader,
    Stored,
    Deflated,
    /// The data is complete; with a flag for a descriptor, that comes first.
    EntryEnd,
    CentralHeader,
    DirectorySignature,
    End64,
    Locator64,
    EndRecord,
    /// Bytes of a record that say nothing: a comment of an entry.
    Skip(u32),
    Comment(u32),
    Tail,
    End,
}

impl Zip {
    pub(crate) fn new(meter: Meter, allow: Allow, seed: u64, stored_lengths: Option<Arc<StoredLengths>>) -> Self {
        Self {
            state: if allow.prefixed_data { State::Prefix(0) } else { State::Signature },
            allow,
            stored_lengths,
            meter,
            inflate: Inflate::new(),
            directory: Directory::new(seed),
            scratch: Vec::new(),
            position: 0,
            base: 0,
            entry: Current::default(),
            directory_start: None,
            end64: None,
            locator64_seen: false,
            comment: CommentCheck::default(),
        }
    }

    /// Moves input to the scratch until it holds `needed` bytes.
    fn gather(&mut self, needed: usize, input: &mut &[u8]) -> bool {
        let missing = needed.saturating_sub(self.scratch.len());
        self.scratch.reserve_exact(missing);
        let take = missing.min(input.len());
        self.scratch.extend_from_slice(&input[..take]);
        self.advance(take, input);
        self.scratch.len() >= needed
    }

    fn advance(&mut self, bytes: usize, input: &mut &[u8]) {
        *input = &input[bytes..];
        self.position += bytes as u64;
    }

    /// Offset of the record in the scratch.
    fn record_offset(&self) -> u64 {
        self.position - self.scratch.len() as u64
    }

    pub(crate) fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        loop {
            let starved = if end { Err(ErrorKind::Truncated) } else { Ok(Event::NeedInput) };
            match self.state {
                State::Prefix(window) => {
                    let Some(&byte) = input.first() else {
                        return starved;
                    };
                    self.advance(1, input);
                    let window = window >> 8 | u32::from(byte) << 24;
                    self.state = State::Prefix(window);
                    let is_start = window == LOCAL_HEADER || (window == END && self.position == 4);
                    if self.position >= 4 && is_start {
                        self.base = self.position - 4;
                        self.scratch.extend_from_slice(&window.to_le_bytes());
                        self.state = State::Signature;
                    } else if self.position > PREFIX_MAX {
                        return Err(ErrorKind::BadSignature { actual: window });
                    }
                }
                State::Signature => {
                    if !self.gather(4, input) {
                        return starved;
                    }
                    self.state = self.record_of(u32_at(&self.scratch, 0))?;
                }
                State::LocalHeader => match self.local_header(input)? {
                    Some(entry) => return Ok(Event::Entry(Box::new(entry))),
                    None => return starved,
                },
                State::Stored => {
                    if let Some(event) = self.stored(input, out)? {
                        return if matches!(event, Event::NeedInput) { starved } else { Ok(event) };
                    }
                    self.state = State::EntryEnd;
                }
                State::Deflated => {
                    if let Some(event) = self.deflated(input, out)? {
                        return if matches!(event, Event::NeedInput) { starved } else { Ok(event) };
                    }
                    self.state = State::EntryEnd;
                }
                State::EntryEnd => match self.entry_end(input)? {
                    Some(ended) => return Ok(Event::EntryEnd(ended)),
                    None => return starved,
                },
                State::CentralHeader => {
                    if !self.central_header(input)? {
                        return starved;
                    }
                }
                State::DirectorySignature => {
                    if !self.gather(6, input) {
                        return starved;
                    }
                    self.state = State::Skip(u16_at(&self.scratch, 4).into());
                    self.scratch.clear();
                }
                State::Skip(0) => self.state = State::Signature,
                State::Skip(left) => {
                    let take = input.len().min(left as usize);
                    if take == 0 {
                        return starved;
                    }
                    self.advance(take, input);
                    self.state = State::Skip(left - take as u32);
                }
                State::End64 => {
                    if !self.gather(END64_BYTES, input) {
                        return starved;
                    }
                    let offset = self.record_offset();
                    self.end64 = Some((EndRecord::parse64(&self.scratch)?, offset));
                    self.scratch.clear();
                    self.state = State::Signature;
                }
                State::Locator64 => {
                    if !self.gather(LOCATOR64_BYTES, input) {
                        return starved;
                    }
                    self.locator64()?;
                    self.state = State::Signature;
                }
                State::EndRecord => {
                    if !self.gather(END_BYTES, input) {
                        return starved;
                    }
                    self.end_record()?;
                    self.state = State::Comment(u16_at(&self.scratch, 20).into());
                    self.scratch.clear();
                }
                State::Comment(0) => self.state = State::Tail,
                State::Comment(left) => {
                    let take = input.len().min(left as usize);
                    if take == 0 {
                        return starved;
                    }
                    if !self.allow.suspicious_comment {
                        self.comment.check(&input[..take])?;
                    }
                    self.advance(take, input);
                    self.state = State::Comment(left - take as u32);
                }
                State::Tail => {
                    if !self.allow.trailing_data && input.iter().any(|&byte| byte != 0) {
                        return Err(ErrorKind::TrailingData);
                    }
                    self.advance(input.len(), input);
                    if !end {
                        return Ok(Event::NeedInput);
                    }
                    self.state = State::End;
                }
                State::End => return Ok(Event::End),
            }
        }
    }

    /// The state for the record with this signature, where it may stand here.
    fn record_of(&mut self, signature: u32) -> Result<State, ErrorKind> {
        let at = self.record_offset();
        let in_directory = self.directory_start.is_some();
        let state = match signature {
            LOCAL_HEADER if !in_directory => State::LocalHeader,
            CENTRAL_HEADER if self.end64.is_none() => State::CentralHeader,
            DIRECTORY_SIGNATURE if in_directory && self.end64.is_none() => State::DirectorySignature,
            END64 if self.end64.is_none() => State::End64,
            LOCATOR64 if self.end64.is_some() && !self.locator64_seen => State::Locator64,
            END if self.end64.is_some() == self.locator64_seen => State::EndRecord,
            actual => return Err(ErrorKind::BadSignature { actual }),
        };
        if state != State::LocalHeader && !in_directory {
            self.directory_start = Some(at);
            if !self.allow.duplicate_names {
                self.directory.check_names()?;
            }
        }
        Ok(state)
    }

    /// `None` while input is missing.
    fn local_header(&mut self, input: &mut &[u8]) -> Result<Option<Entry>, ErrorKind> {
        if !self.gather(LOCAL_HEADER_BYTES, input) {
            return Ok(None);
        }
        let name_bytes = u16_at(&self.scratch, 26);
        self.check_name_length(name_bytes)?;
        let whole = LOCAL_HEADER_BYTES + usize::from(name_bytes) + usize::from(u16_at(&self.scratch, 28));
        if !self.gather(whole, input) {
            return Ok(None);
        }
        let mut header = Header::local(&self.scratch[..whole])?;
        header.offset = self.record_offset();
        let name = self.scratch[LOCAL_HEADER_BYTES..][..usize::from(name_bytes)].to_vec();
        // A descriptor's look-ahead may have gathered more than this record.
        self.scratch.drain(..whole);
        let declared = !header.has_descriptor();
        if header.method == STORED && !declared {
            let length = self.stored_length(header.offset)?;
            (header.compressed_size, header.size) = (length, length);
        }
        if header.method == STORED && header.size != header.compressed_size {
            return Err(ErrorKind::SizeMismatch { expected: header.size, actual: header.compressed_size });
        }
        let limits = self.meter.limits();
        if declared && header.size > limits.entry_bytes_max {
            let max = limits.entry_bytes_max;
            return Err(ErrorKind::Limit { limit: LimitKind::EntryBytes, max });
        }
        let entry = Entry {
            index: self.meter.entry()?,
            offset: header.offset,
            format: Format::Zip,
            declared_size: declared.then_some(header.size),
            utf8: header.flags & UTF8 != 0,
            name,
        };
        self.inflate.reset();
        self.state = if header.method == STORED { State::Stored } else { State::Deflated };
        self.entry = Current {
            name_hash: self.directory.hash(&entry.name),
            stored_left: header.compressed_size,
            stored_crc: crc32fast::Hasher::new(),
            header,
        };
        Ok(Some(entry))
    }

    /// The length of a stored entry with a descriptor, which no stream can see.
    fn stored_length(&self, offset: u64) -> Result<u64, ErrorKind> {
        let lengths = self.stored_lengths.as_ref();
        // Behind prefixed data, offsets count from the file's start or from the archive's.
        let length = lengths.and_then(|lengths| lengths.of(offset).or_else(|| lengths.of(offset - self.base)));
        length.ok_or(ErrorKind::Unsupported(Unsupported::StoredWithDescriptor))
    }

    fn check_name_length(&self, bytes: u16) -> Result<(), ErrorKind> {
        let max = self.meter.limits().name_bytes_max;
        match bytes > max {
            true => Err(ErrorKind::Limit { limit: LimitKind::NameBytes, max: max.into() }),
            false => Ok(()),
        }
    }

    /// `None` when the entry's data is complete.
    fn stored(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Event>, ErrorKind> {
        // The scratch has look-ahead only behind a descriptor, at most 12 bytes, which a local
        // header has used up by now.
        debug_assert!(self.scratch.is_empty());
        let spare = out.capacity() - out.len();
        let take = (input.len().min(spare) as u64).min(self.entry.stored_left) as usize;
        self.meter.count(take as u64, u64::MAX)?;
        let data = &input[..take];
        self.entry.stored_crc.update(data);
        out.extend_from_slice(data);
        self.advance(take, input);
        self.entry.stored_left -= take as u64;
        Ok(match self.entry.stored_left {
            0 => None,
            _ if out.len() == out.capacity() => Some(Event::Full),
            _ => Some(Event::NeedInput),
        })
    }

    /// `None` when the entry's data is complete.
    fn deflated(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Event>, ErrorKind> {
        debug_assert!(self.scratch.is_empty());
        let header = &self.entry.header;
        let (declared, left) = if header.has_descriptor() {
            (None, u64::MAX)
        } else {
            (Some(header.size), header.compressed_size - self.inflate.consumed())
        };
        let mut window = &input[..(input.len() as u64).min(left) as usize];
        let lent = window.len();
        let stop = self.inflate.run(&mut window, out, &mut self.meter, declared);
        let used = lent - window.len();
        self.advance(used, input);
        match stop? {
            Stop::Full => Ok(Some(Event::Full)),
            Stop::Input if used as u64 == left => {
                // The declared size is used up and the stream has not ended.
                let expected = self.entry.header.compressed_size;
                Err(ErrorKind::CompressedSizeMismatch { expected, actual: expected + 1 })
            }
            Stop::Input => Ok(Some(Event::NeedInput)),
            Stop::End => Ok(None),
        }
    }

    /// Checks the entry against its header or descriptor; `None` while input is missing.
    fn entry_end(&mut self, input: &mut &[u8]) -> Result<Option<EntryEnd>, ErrorKind> {
        let header = &self.entry.header;
        let (compressed_size, crc) = match header.method {
            STORED => (header.compressed_size, self.entry.stored_crc.clone().finalize()),
            _ => (self.inflate.consumed(), self.inflate.crc()),
        };
        let size = self.meter.entry_bytes();
        if header.has_descriptor() {
            if !self.gather(24, input) {
                return Ok(None);
            }
            let length = match_descriptor(&self.scratch, crc, compressed_size, size)?;
            self.scratch.drain(..length);
        } else {
            let (expected, actual) = (header.compressed_size, compressed_size);
            if expected != actual {
                return Err(ErrorKind::CompressedSizeMismatch { expected, actual });
            }
            if header.size != size {
                return Err(ErrorKind::SizeMismatch { expected: header.size, actual: size });
            }
            if header.crc != crc {
                return Err(ErrorKind::CrcMismatch { expected: header.crc, actual: crc });
            }
        }
        let mut header = mem::take(&mut self.entry.header);
        (header.compressed_size, header.size, header.crc) = (compressed_size, size, crc);
        self.directory.add(&header, self.entry.name_hash);
        self.state = State::Signature;
        Ok(Some(EntryEnd { size, compressed_size, crc32: Some(crc) }))
    }

    /// Whether the header was complete.
    fn central_header(&mut self, input: &mut &[u8]) -> Result<bool, ErrorKind> {
        if !self.gather(CENTRAL_HEADER_BYTES, input) {
            return Ok(false);
        }
        let name_bytes = u16_at(&self.scratch, 28);
        self.check_name_length(name_bytes)?;
        let whole = CENTRAL_HEADER_BYTES + usize::from(name_bytes) + usize::from(u16_at(&self.scratch, 30));
        if !self.gather(whole, input) {
            return Ok(false);
        }
        let header = Header::central(&self.scratch[..whole])?;
        let hash = self.directory.hash(&self.scratch[CENTRAL_HEADER_BYTES..][..usize::from(name_bytes)]);
        // Behind prefixed data, offsets count from the file's start or from the archive's.
        let base = if header.offset >= self.base { 0 } else { self.base };
        self.directory.confirm(&header, hash, base, &self.allow)?;
        self.state = State::Skip(u16_at(&self.scratch, 32).into());
        self.scratch.clear();
        Ok(true)
    }

    fn locator64(&mut self) -> Result<(), ErrorKind> {
        if u32_at(&self.scratch, 4) != 0 || u32_at(&self.scratch, 16) > 1 {
            return Err(ErrorKind::Unsupported(Unsupported::MultiDisk));
        }
        let (expected, actual) = (u64_at(&self.scratch, 8), self.end64.map_or(0, |(_, at)| at));
        if expected != actual && expected.checked_add(self.base) != Some(actual) {
            return Err(ErrorKind::LocatorMismatch { expected, actual });
        }
        self.locator64_seen = true;
        self.scratch.clear();
        Ok(())
    }

    /// Compares the end records with what was read.
    fn end_record(&mut self) -> Result<(), ErrorKind> {
        let record = EndRecord::parse(&self.scratch, self.end64.is_some())?;
        let end = self.end64.map_or(self.record_offset(), |(_, at)| at);
        let start = self.directory_start.unwrap_or(end);
        let actual =
            EndRecord { entries: self.directory.confirmed, directory_bytes: end - start, directory_offset: start };
        if let Some((record64, _)) = self.end64 {
            record64.compare(&actual, self.base)?;
            // The short record repeats the long one, or defers to it by all ones.
            let defer = |value: u64, max: u64, actual: u64| if value == max { actual } else { value };
            let record = EndRecord {
                entries: defer(record.entries, u16::MAX.into(), actual.entries),
                directory_bytes: defer(record.directory_bytes, u32::MAX.into(), actual.directory_bytes),
                directory_offset: defer(record.directory_offset, u32::MAX.into(), actual.directory_offset),
            };
            record.compare(&actual, self.base)?;
        } else {
            record.compare(&actual, self.base)?;
        }
        match self.directory.all_confirmed() {
            true => Ok(()),
            false => Err(ErrorKind::MissingCentralEntry),
        }
    }
}
