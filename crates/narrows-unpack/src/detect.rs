//! Which format it is, told from the first four bytes, and one decoder for all of them.

use std::fmt;

use crate::{
    Entry, EntryEnd, Error, Event, Options, Step, error::ErrorKind, gzip::Gzip, limits::Meter, zip::Zip, zstd::Zstd,
};

/// A format of compressed or archived bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// Bytes as they are.
    Plain,
    /// PKWARE's zip (APPNOTE 6.3.10): many entries.
    Zip,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Format {
    /// The format whose signature `head` starts with; all need four bytes to be told.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The format that the ending of a path promises: `.zip`, `.gz`, `.zst`.
    pub fn promised_by(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "zip" => Some(Self::Zip),
            "gz" | "tgz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain data",
            Self::Zip => "zip",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// One decoder for every format, chosen by [`Options::format`] or by the content.
///
/// The [crate documentation](crate) shows the calling loop.
pub struct Unpacker {
    decoder: Decoder,
    /// Bytes used, for errors.
    offset: u64,
    /// The entry that began last, for errors.
    entry: Option<Box<str>>,
}

enum Decoder {
    Detecting { head: Head, options: Box<Options> },
    Plain(Plain),
    Zip(Box<Zip>),
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

/// The first bytes, kept until there are enough to tell the format, then decoded first.
#[derive(Clone, Copy, Default)]
struct Head {
    bytes: [u8; 4],
    len: usize,
}

impl Unpacker {
    /// A decoder that uses at most [`Options::memory_max`] bytes of heap.
    pub fn new(options: Options) -> Self {
        let decoder = match options.format {
            Some(format) => Decoder::new(format, options),
            None => Decoder::Detecting { head: Head::default(), options: Box::new(options) },
        };
        Self { decoder, offset: 0, entry: None }
    }

    /// The format, once it is known.
    pub fn format(&self) -> Option<Format> {
        match self.decoder {
            Decoder::Detecting { .. } => None,
            Decoder::Plain(_) => Some(Format::Plain),
            Decoder::Zip(_) => Some(Format::Zip),
            Decoder::Gzip(_) => Some(Format::Gzip),
            Decoder::Zstd(_) => Some(Format::Zstd),
        }
    }

    /// Compressed bytes used so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Decodes some of `input`, appending to `out` within its capacity. `end` says that nothing
    /// follows `input`.
    ///
    /// # Errors
    ///
    /// Any [`Error`] is final: later calls are not defined, though they are safe.
    pub fn step(&mut self, input: &[u8], end: bool, out: &mut Vec<u8>) -> Result<Step, Error> {
        let mut rest = input;
        let result = self.run(&mut rest, end, out);
        let consumed = input.len() - rest.len();
        self.offset += consumed as u64;
        match result {
            Ok(event) => {
                match &event {
                    Event::Entry(entry) if !entry.name.is_empty() => self.entry = Some(entry.name().into()),
                    Event::EntryEnd(_) => self.entry = None,
                    _ => {}
                }
                Ok(Step { consumed, event })
            }
            Err(kind) => Err(Error { kind, entry: self.entry.clone(), offset: self.offset }),
        }
    }

    fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        if let Decoder::Detecting { head, options } = &mut self.decoder {
            while head.len < 4 {
                let Some((&byte, rest)) = input.split_first() else {
                    break;
                };
                *input = rest;
                head.bytes[head.len] = byte;
                head.len += 1;
            }
            if head.len < 4 && !end {
                return Ok(Event::NeedInput);
            }
            let head = *head;
            let format = Format::detect(&head.bytes[..head.len]);
            let is_decoded = options.or_plain && format == Format::Plain;
            if let Some(expected) = options.expected.filter(|expected| *expected != format && !is_decoded) {
                let empty = head.len == 0 && expected != Format::Plain;
                return Err(if empty {
                    ErrorKind::Truncated
                } else {
                    ErrorKind::WrongFormat { expected, actual: format }
                });
            }
            self.decoder = Decoder::new(format, mem_take(options));
            // No decoder gives anything before its fourth byte but the entry's head.
            let mut first = &head.bytes[..head.len];
            let event = self.decoder.run(&mut first, false, out)?;
            debug_assert!(first.is_empty() || matches!(event, Event::Entry(_) | Event::Full));
            if !matches!(event, Event::NeedInput) {
                if let Decoder::Plain(plain) = &mut self.decoder {
                    plain.head = Head { bytes: head.bytes, len: head.len };
                } else if !first.is_empty() {
                    // zstd announces its entry before it reads.
                    let again = self.decoder.run(&mut first, false, out)?;
                    debug_assert!(first.is_empty() && matches!(again, Event::NeedInput));
                }
                return Ok(event);
            }
        }
        self.decoder.run(input, end, out)
    }
}

fn mem_take(options: &mut Box<Options>) -> Options {
    std::mem::take(&mut **options)
}

impl Decoder {
    fn new(format: Format, options: Options) -> Self {
        let Options { limits, allow, seed, .. } = options;
        let meter = Meter::new(limits);
        match format {
            Format::Plain => Self::Plain(Plain::new(meter)),
            Format::Zip => Self::Zip(Box::new(Zip::new(meter, allow, seed))),
            Format::Gzip => Self::Gzip(Box::new(Gzip::new(meter, allow))),
            Format::Zstd => Self::Zstd(Box::new(Zstd::new(meter, allow))),
        }
    }

    fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        match self {
            Self::Detecting { .. } => unreachable!("the format is known by now"),
            Self::Plain(plain) => plain.run(input, end, out),
            Self::Zip(zip) => zip.run(input, end, out),
            Self::Gzip(gzip) => gzip.run(input, end, out),
            Self::Zstd(zstd) => zstd.run(input, end, out),
        }
    }
}

/// Bytes as they are: one entry, whose end is the input's.
struct Plain {
    meter: Meter,
    stage: Stage,
    /// What detection read ahead and has to come out first.
    head: Head,
}

enum Stage {
    Begin,
    Data,
    End,
}

impl Plain {
    fn new(meter: Meter) -> Self {
        Self { meter, stage: Stage::Begin, head: Head::default() }
    }

    fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        match self.stage {
            Stage::Begin => {
                self.stage = Stage::Data;
                Ok(Event::Entry(Box::new(Entry {
                    index: self.meter.entry()?,
                    offset: 0,
                    format: Format::Plain,
                    declared_size: None,
                    name: Vec::new(),
                    utf8: true,
                })))
            }
            Stage::Data => {
                if self.head.len > 0 {
                    let head = std::mem::take(&mut self.head);
                    let mut bytes = &head.bytes[..head.len];
                    self.copy(&mut bytes, out)?;
                    let left = bytes.len();
                    self.head.bytes[..left].copy_from_slice(bytes);
                    self.head.len = left;
                }
                if self.head.len == 0 {
                    self.copy(input, out)?;
                }
                if self.head.len > 0 || !input.is_empty() {
                    Ok(Event::Full)
                } else if end {
                    self.stage = Stage::End;
                    let size = self.meter.entry_bytes();
                    Ok(Event::EntryEnd(EntryEnd { size, compressed_size: size, crc32: None }))
                } else {
                    Ok(Event::NeedInput)
                }
            }
            Stage::End => Ok(Event::End),
        }
    }

    fn copy(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), ErrorKind> {
        let take = input.len().min(out.capacity() - out.len());
        // Plain bytes have no ratio: as many come out as go in.
        self.meter.count(take as u64, u64::MAX)?;
        out.extend_from_slice(&input[..take]);
        *input = &input[take..];
        Ok(())
    }
}
