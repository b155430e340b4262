//! One decoder for every format, and the memory it takes.

#[cfg(feature = "zstd")]
use crate::zstd::{self, Zstd};
use crate::{
    entry::{Event, Step},
    error::{Error, ErrorKind},
    format::Format,
    gzip::Gzip,
    inflate,
    limits::Options,
    meter::Meter,
    plain::{Head, Plain},
    zip::{self, Zip},
};

impl Options {
    /// The most heap memory a decoder with these options uses, in bytes, its output aside.
    pub fn memory_max(&self) -> u64 {
        let limits = &self.limits;
        let zip = inflate::MEMORY_MAX + zip::memory_max(limits);
        let gzip = inflate::MEMORY_MAX;
        #[cfg(feature = "zstd")]
        let zstd = zstd::memory_max(limits.zstd_window_max);
        #[cfg(not(feature = "zstd"))]
        let zstd = 0;
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
    Detecting {
        head: Head,
        options: Box<Options>,
    },
    Plain(Plain),
    Zip(Box<Zip>),
    Gzip(Box<Gzip>),
    #[cfg(feature = "zstd")]
    Zstd(Box<Zstd>),
    #[cfg(not(feature = "zstd"))]
    Zstd,
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
            #[cfg(feature = "zstd")]
            Decoder::Zstd(_) => Some(Format::Zstd),
            #[cfg(not(feature = "zstd"))]
            Decoder::Zstd => Some(Format::Zstd),
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
        let Options { limits, allow, seed, stored_lengths, .. } = options;
        let meter = Meter::new(limits);
        match format {
            Format::Plain => Self::Plain(Plain::new(meter)),
            Format::Zip => Self::Zip(Box::new(Zip::new(meter, allow, seed, stored_lengths))),
            Format::Gzip => Self::Gzip(Box::new(Gzip::new(meter, allow))),
            #[cfg(feature = "zstd")]
            Format::Zstd => Self::Zstd(Box::new(Zstd::new(meter, allow))),
            #[cfg(not(feature = "zstd"))]
            Format::Zstd => Self::Zstd,
        }
    }

    fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        match self {
            Self::Detecting { .. } => unreachable!("the format is known by now"),
            Self::Plain(plain) => plain.run(input, end, out),
            Self::Zip(zip) => zip.run(input, end, out),
            Self::Gzip(gzip) => gzip.run(input, end, out),
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => zstd.run(input, end, out),
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => Err(ErrorKind::Unsupported(crate::Unsupported::WithoutZstd)),
        }
    }
}
