//! zstd (RFC 8878) over `ruzstd`: frames one after another, skippable ones included.
//!
//! `ruzstd` wants whole blocks, so the framing is read here: a frame header (at most 18 bytes) or
//! a block (at most 128 KiB and its 3-byte header) is gathered in a scratch buffer of that size
//! and decoded at once; what came out is then read from `ruzstd`'s window as the caller has room.

use std::io::Read;

use ruzstd::decoding::{
    FrameDecoder,
    errors::{FrameDecoderError, FrameHeaderError},
};

use crate::{
    entry::{Entry, EntryEnd, Event},
    error::{ErrorKind, Unsupported},
    format::Format,
    limits::Allow,
    meter::Meter,
};

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;
const BLOCK_MAX: usize = 128 * 1024;

/// Heap of one decoder: the window grows by doubling, so old and new live at once; tables, the
/// literals and the scratch come on top. Measured with a margin in `tests/memory.rs`.
pub(crate) fn memory_max(window: u64) -> u64 {
    window.max(128 << 10).saturating_mul(2).saturating_add(1 << 20)
}

pub(crate) struct Zstd {
    state: State,
    allow: Allow,
    meter: Meter,
    decoder: FrameDecoder,
    scratch: Vec<u8>,
    /// Whether the current frame ends with a checksum.
    checksum: bool,
    last_block: bool,
    consumed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Begin,
    /// Gathering a frame's magic number, or at the end between frames.
    Magic,
    /// Gathering the descriptor byte, then the whole header.
    Header {
        needed: usize,
    },
    SkippableLength,
    Skip(u32),
    /// Gathering a block's header, then the whole block.
    Block {
        needed: usize,
    },
    /// Reading what the last block gave.
    Drain,
    Checksum,
    Padding,
    End,
}

impl Zstd {
    pub(crate) fn new(meter: Meter, allow: Allow) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(meter.limits().zstd_window_max);
        Self {
            state: State::Begin,
            allow,
            meter,
            decoder,
            scratch: Vec::new(),
            checksum: false,
            last_block: false,
            consumed: 0,
        }
    }

    /// Moves input to the scratch until it holds `needed` bytes.
    fn gather(&mut self, needed: usize, input: &mut &[u8]) -> bool {
        let take = needed.saturating_sub(self.scratch.len()).min(input.len());
        self.scratch.extend_from_slice(&input[..take]);
        *input = &input[take..];
        self.consumed += take as u64;
        self.scratch.len() >= needed
    }

    pub(crate) fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        loop {
            let starved = if end { Err(ErrorKind::Truncated) } else { Ok(Event::NeedInput) };
            match self.state {
                State::Begin => {
                    self.scratch.reserve_exact(BLOCK_MAX + 3);
                    self.state = State::Magic;
                    return Ok(Event::Entry(Box::new(Entry {
                        index: self.meter.entry()?,
                        offset: 0,
                        format: Format::Zstd,
                        declared_size: None,
                        name: Vec::new(),
                        utf8: true,
                    })));
                }
                State::Magic => {
                    if !self.gather(4, input) {
                        if end && self.scratch.is_empty() && self.consumed > 0 {
                            self.state = State::End;
                            return Ok(Event::EntryEnd(EntryEnd {
                                size: self.meter.entry_bytes(),
                                compressed_size: self.consumed,
                                crc32: None,
                            }));
                        }
                        return starved;
                    }
                    self.state = match u32_at(&self.scratch, 0) {
                        MAGIC => State::Header { needed: 5 },
                        magic if magic & 0xffff_fff0 == SKIPPABLE => State::SkippableLength,
                        _ if self.allow.trailing_data && self.consumed > 4 => State::Padding,
                        _ if self.consumed > 4 => return Err(ErrorKind::TrailingData),
                        _ => return Err(ErrorKind::BadHeader("not a zstd frame")),
                    };
                }
                State::Header { needed } => {
                    if !self.gather(needed, input) {
                        return starved;
                    }
                    let whole = frame_header_bytes(self.scratch[4]);
                    if needed < whole {
                        self.state = State::Header { needed: whole };
                        continue;
                    }
                    self.checksum = self.scratch[4] & 4 != 0;
                    self.decoder.reset(&self.scratch[..]).map_err(frame_error)?;
                    self.scratch.clear();
                    self.state = State::Block { needed: 3 };
                }
                State::SkippableLength => {
                    if !self.gather(8, input) {
                        return starved;
                    }
                    self.state = State::Skip(u32_at(&self.scratch, 4));
                    self.scratch.clear();
                }
                State::Skip(0) => self.state = State::Magic,
                State::Skip(left) => {
                    let take = input.len().min(left as usize);
                    if take == 0 {
                        return starved;
                    }
                    *input = &input[take..];
                    self.consumed += take as u64;
                    self.state = State::Skip(left - take as u32);
                }
                State::Block { needed } => {
                    if !self.gather(needed, input) {
                        return starved;
                    }
                    let header = u32::from_le_bytes([self.scratch[0], self.scratch[1], self.scratch[2], 0]);
                    let content = match header >> 1 & 3 {
                        1 => 1, // a run: one byte, repeated
                        _ => (header >> 3) as usize,
                    };
                    if content > BLOCK_MAX {
                        return Err(ErrorKind::BadZstd("block larger than 128 KiB".into()));
                    }
                    if needed < 3 + content {
                        self.state = State::Block { needed: 3 + content };
                        continue;
                    }
                    self.last_block = header & 1 != 0;
                    let mut block = &self.scratch[..];
                    let strategy = ruzstd::decoding::BlockDecodingStrategy::UptoBlocks(1);
                    if self.last_block && self.checksum {
                        // `decode_blocks` reads the checksum behind the last block at once; a
                        // stand-in is given here and the real one compared below.
                        let mut with_checksum = block.chain(&[0u8; 4][..]);
                        self.decoder.decode_blocks(&mut with_checksum, strategy).map_err(frame_error)?;
                    } else {
                        self.decoder.decode_blocks(&mut block, strategy).map_err(frame_error)?;
                    }
                    self.scratch.clear();
                    self.state = State::Drain;
                }
                State::Drain => {
                    let ready = self.decoder.can_collect();
                    if ready == 0 {
                        self.state = match (self.last_block, self.checksum) {
                            (false, _) => State::Block { needed: 3 },
                            (true, true) => State::Checksum,
                            (true, false) => State::Magic,
                        };
                        continue;
                    }
                    let before = out.len();
                    let spare = out.capacity() - before;
                    if spare == 0 {
                        return Ok(Event::Full);
                    }
                    out.resize(before + spare.min(ready), 0);
                    let read = self.decoder.read(&mut out[before..]);
                    let read = read.map_err(|error| ErrorKind::BadZstd(error.to_string().into()))?;
                    out.truncate(before + read);
                    self.meter.count(read as u64, self.consumed)?;
                }
                State::Checksum => {
                    if !self.gather(4, input) {
                        return starved;
                    }
                    let expected = u32_at(&self.scratch, 0);
                    let actual = self.decoder.get_calculated_checksum().unwrap_or_default();
                    if expected != actual {
                        return Err(ErrorKind::CrcMismatch { expected, actual });
                    }
                    self.scratch.clear();
                    self.state = State::Magic;
                }
                State::Padding => {
                    self.scratch.clear();
                    self.consumed += input.len() as u64;
                    *input = &[];
                    if !end {
                        return Ok(Event::NeedInput);
                    }
                    self.state = State::Magic;
                }
                State::End => return Ok(Event::End),
            }
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Length of a frame's header with its magic number, from its descriptor (RFC 8878, 3.1.1.1).
fn frame_header_bytes(descriptor: u8) -> usize {
    let single_segment = descriptor & 0x20 != 0;
    let content_size = match (descriptor >> 6, single_segment) {
        (0, false) => 0,
        (0, true) => 1,
        (1, _) => 2,
        (2, _) => 4,
        _ => 8,
    };
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    5 + usize::from(!single_segment) + dictionary + content_size
}

fn frame_error(error: FrameDecoderError) -> ErrorKind {
    match error {
        FrameDecoderError::WindowSizeTooBig { requested, .. } => {
            ErrorKind::Unsupported(Unsupported::ZstdWindow(requested))
        }
        FrameDecoderError::DictNotProvided { .. } => ErrorKind::Unsupported(Unsupported::Dictionary),
        FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { got }) => {
            ErrorKind::Unsupported(Unsupported::ZstdWindow(got))
        }
        other => ErrorKind::BadZstd(other.to_string().into()),
    }
}
