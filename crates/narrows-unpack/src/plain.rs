//! Bytes as they are: one entry, whose end is the input's.

use crate::{
    entry::{Entry, EntryEnd, Event},
    error::ErrorKind,
    format::Format,
    meter::Meter,
};

/// The first bytes, kept until there are enough to tell the format, then decoded first.
#[derive(Clone, Copy, Default)]
pub(crate) struct Head {
    pub(crate) bytes: [u8; 4],
    pub(crate) len: usize,
}

pub(crate) struct Plain {
    meter: Meter,
    stage: Stage,
    /// What detection read ahead and has to come out first.
    pub(crate) head: Head,
}

enum Stage {
    Begin,
    Data,
    End,
}

impl Plain {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, stage: Stage::Begin, head: Head::default() }
    }

    pub(crate) fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
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
