//! gzip (RFC 1952): one entry, made of one or more members.
//!
//! Headers are read byte by byte, so that nothing is buffered; the deflate data goes to
//! [`Inflate`]. Each member's CRC-32 and length are checked. After a member may come another,
//! zeros up to the end (as tapes leave them), or the end.

use std::mem;

use crate::{
    entry::{Entry, EntryEnd, Event},
    error::{ErrorKind, LimitKind, Unsupported},
    format::Format,
    inflate::{Inflate, Stop},
    limits::Allow,
    meter::Meter,
};

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

pub(crate) struct Gzip {
    state: State,
    allow: Allow,
    meter: Meter,
    inflate: Inflate,
    flags: u8,
    /// CRC-32 of the current header, whose low half a header may end with.
    header_crc: crc32fast::Hasher,
    /// The first member's name.
    name: Vec<u8>,
    members: u64,
    /// Bytes the current member gave; its trailer has them modulo 2^32.
    member_bytes: u64,
    /// Compressed bytes read in all.
    consumed: u64,
}

/// What the next byte belongs to. Counters say how much of the part has been read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fixed(u8),
    ExtraLength(u8, u16),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(u8, u16),
    Entry,
    Data,
    Trailer(u8, [u8; 8]),
    BetweenMembers,
    Padding,
    End,
}

impl Gzip {
    pub(crate) fn new(meter: Meter, allow: Allow) -> Self {
        Self {
            state: State::Fixed(0),
            allow,
            meter,
            inflate: Inflate::new(),
            flags: 0,
            header_crc: crc32fast::Hasher::new(),
            name: Vec::new(),
            members: 0,
            member_bytes: 0,
            consumed: 0,
        }
    }

    pub(crate) fn run(&mut self, input: &mut &[u8], end: bool, out: &mut Vec<u8>) -> Result<Event, ErrorKind> {
        loop {
            match self.state {
                State::Entry => {
                    self.state = State::Data;
                    self.inflate.next_stream();
                    self.member_bytes = self.meter.entry_bytes();
                    self.members += 1;
                    if self.members == 1 {
                        let index = self.meter.entry()?;
                        self.member_bytes = 0;
                        return Ok(Event::Entry(Box::new(Entry {
                            index,
                            offset: 0,
                            format: Format::Gzip,
                            declared_size: None,
                            name: mem::take(&mut self.name),
                            utf8: false,
                        })));
                    }
                }
                State::Data => {
                    let before = input.len();
                    let stop = self.inflate.run(input, out, &mut self.meter, None);
                    self.consumed += (before - input.len()) as u64;
                    match stop? {
                        Stop::Full => return Ok(Event::Full),
                        Stop::Input if end => return Err(ErrorKind::Truncated),
                        Stop::Input => return Ok(Event::NeedInput),
                        Stop::End => self.state = State::Trailer(0, [0; 8]),
                    }
                }
                State::End => return Ok(Event::End),
                _ => {
                    let Some((&byte, rest)) = input.split_first() else {
                        if !end {
                            return Ok(Event::NeedInput);
                        }
                        if !matches!(self.state, State::BetweenMembers | State::Padding) {
                            return Err(ErrorKind::Truncated);
                        }
                        self.state = State::End;
                        let crc32 = (self.members == 1).then(|| self.inflate.crc());
                        return Ok(Event::EntryEnd(EntryEnd {
                            size: self.meter.entry_bytes(),
                            compressed_size: self.consumed,
                            crc32,
                        }));
                    };
                    *input = rest;
                    self.consumed += 1;
                    self.byte(byte)?;
                }
            }
        }
    }

    /// Reads one byte of a header, a trailer or what follows.
    fn byte(&mut self, byte: u8) -> Result<(), ErrorKind> {
        let in_header = !matches!(self.state, State::Trailer(..) | State::BetweenMembers | State::Padding);
        if in_header && !matches!(self.state, State::HeaderCrc(..)) {
            self.header_crc.update(&[byte]);
        }
        self.state = match self.state {
            State::Fixed(at) => {
                let magic = [0x1f, 0x8b, 8];
                match at {
                    0 | 1 if byte != magic[at as usize] => {
                        return Err(ErrorKind::BadHeader("not a gzip member"));
                    }
                    2 if byte != magic[2] => {
                        return Err(ErrorKind::Unsupported(Unsupported::Method(byte.into())));
                    }
                    3 if byte & RESERVED != 0 => {
                        return Err(ErrorKind::BadHeader("reserved gzip flags"));
                    }
                    3 => self.flags = byte,
                    _ => {}
                }
                if at < 9 { State::Fixed(at + 1) } else { self.after(FEXTRA / 2) }
            }
            State::ExtraLength(0, _) => State::ExtraLength(1, byte.into()),
            State::ExtraLength(_, low) => match low | u16::from(byte) << 8 {
                0 => self.after(FEXTRA),
                length => State::Extra(length),
            },
            State::Extra(1) => self.after(FEXTRA),
            State::Extra(left) => State::Extra(left - 1),
            State::Name if byte == 0 => self.after(FNAME),
            State::Name => {
                let max = usize::from(self.meter.limits().name_bytes_max);
                if self.name.len() == max {
                    return Err(ErrorKind::Limit { limit: LimitKind::NameBytes, max: max as u64 });
                }
                if self.members == 0 {
                    if self.name.is_empty() {
                        self.name.reserve_exact(max);
                    }
                    self.name.push(byte);
                }
                State::Name
            }
            State::Comment if byte == 0 => self.after(FCOMMENT),
            State::Comment => State::Comment,
            State::HeaderCrc(0, _) => State::HeaderCrc(1, byte.into()),
            State::HeaderCrc(_, low) => {
                let (expected, actual) = (low | u16::from(byte) << 8, self.header_crc.clone().finalize() & 0xffff);
                if u32::from(expected) != actual {
                    return Err(ErrorKind::CrcMismatch { expected: expected.into(), actual });
                }
                State::Entry
            }
            State::Trailer(at, mut bytes) => {
                bytes[at as usize] = byte;
                if at < 7 { State::Trailer(at + 1, bytes) } else { self.trailer(bytes)? }
            }
            State::BetweenMembers if byte == 0x1f => {
                self.header_crc = crc32fast::Hasher::new();
                self.header_crc.update(&[byte]);
                State::Fixed(1)
            }
            State::BetweenMembers | State::Padding if byte == 0 || self.allow.trailing_data => State::Padding,
            State::BetweenMembers | State::Padding => return Err(ErrorKind::TrailingData),
            State::Entry | State::Data | State::End => unreachable!("`run` reads these itself"),
        };
        Ok(())
    }

    /// The header part after the one with flag `done`, in the order of RFC 1952: extra field,
    /// name, comment, CRC.
    fn after(&self, done: u8) -> State {
        if done < FEXTRA && self.flags & FEXTRA != 0 {
            State::ExtraLength(0, 0)
        } else if done < FNAME && self.flags & FNAME != 0 {
            State::Name
        } else if done < FCOMMENT && self.flags & FCOMMENT != 0 {
            State::Comment
        } else if self.flags & FHCRC != 0 {
            State::HeaderCrc(0, 0)
        } else {
            State::Entry
        }
    }

    fn trailer(&self, bytes: [u8; 8]) -> Result<State, ErrorKind> {
        let [c0, c1, c2, c3, s0, s1, s2, s3] = bytes;
        let (expected, actual) = (u32::from_le_bytes([c0, c1, c2, c3]), self.inflate.crc());
        if expected != actual {
            return Err(ErrorKind::CrcMismatch { expected, actual });
        }
        let (expected, actual) = (u32::from_le_bytes([s0, s1, s2, s3]), self.meter.entry_bytes() - self.member_bytes);
        if expected != actual as u32 {
            return Err(ErrorKind::SizeMismatch { expected: expected.into(), actual });
        }
        Ok(State::BetweenMembers)
    }
}
