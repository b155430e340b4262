//! Raw deflate (RFC 1951) into a buffer of fixed capacity, with the CRC-32 of what came out.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{error::ErrorKind, meter::Meter};

/// Heap of one inflate state: zlib-rs takes 47.6 KB in two allocations; measured with a margin.
pub(crate) const MEMORY_MAX: u64 = 52 * 1024;

/// Reused from one entry to the next: resetting allocates nothing.
pub(crate) struct Inflate {
    state: Decompress,
    crc: crc32fast::Hasher,
    /// Compressed bytes of this stream.
    consumed: u64,
    /// Compressed bytes of the streams before it in the same entry: members of a gzip.
    consumed_before: u64,
    ended: bool,
}

/// Where one call of [`Inflate::run`] stopped.
pub(crate) enum Stop {
    Input,
    Full,
    End,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            state: Decompress::new(false),
            crc: crc32fast::Hasher::new(),
            consumed: 0,
            consumed_before: 0,
            ended: false,
        }
    }

    /// Begins the first stream of another entry.
    pub(crate) fn reset(&mut self) {
        self.next_stream();
        self.consumed_before = 0;
    }

    /// Begins another stream of the same entry.
    pub(crate) fn next_stream(&mut self) {
        self.state.reset(false);
        self.crc = crc32fast::Hasher::new();
        self.consumed_before += self.consumed;
        self.consumed = 0;
        self.ended = false;
    }

    /// Compressed bytes of the current stream used so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(crate) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Inflates `input` into the spare capacity of `out`, advancing `input`. `declared` is the
    /// size the stream may not exceed; the overrun is found at its first byte, whatever the
    /// sizes of the pieces, so that every way of feeding ends in the same error.
    pub(crate) fn run(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        meter: &mut Meter,
        declared: Option<u64>,
    ) -> Result<Stop, ErrorKind> {
        loop {
            if self.ended {
                return Ok(Stop::End);
            }
            let spare = out.capacity() - out.len();
            if spare == 0 {
                return Ok(Stop::Full);
            }
            let left = declared.map_or(u64::MAX, |size| size - meter.entry_bytes());
            // One byte more than may come out tells "exactly enough" from "too much".
            let room = left.min(meter.allowance()).saturating_add(1);
            let (in_before, out_before) = (self.state.total_in(), out.len());
            let result = if room < spare as u64 {
                // The crate appends to all the spare capacity, so a smaller room is a slice,
                // which has to be initialised: once at an entry's end.
                out.resize(out_before + room as usize, 0);
                let produced_before = self.state.total_out();
                let result = self.state.decompress(input, &mut out[out_before..], FlushDecompress::None);
                out.truncate(out_before + (self.state.total_out() - produced_before) as usize);
                result
            } else {
                self.state.decompress_vec(input, out, FlushDecompress::None)
            };
            let used = (self.state.total_in() - in_before) as usize;
            let produced = out.len() - out_before;
            *input = &input[used..];
            self.consumed += used as u64;
            if produced as u64 > left {
                let size = declared.unwrap_or_default();
                return Err(ErrorKind::SizeMismatch { expected: size, actual: size + 1 });
            }
            meter.count(produced as u64, self.consumed_before + self.consumed)?;
            self.crc.update(&out[out_before..]);
            match result {
                Err(_) => return Err(ErrorKind::BadDeflate),
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if used == 0 && produced == 0 => return Ok(Stop::Input),
                Ok(_) => {}
            }
        }
    }
}
