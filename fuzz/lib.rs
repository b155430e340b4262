//! What the targets share: feeding a decoder in pieces, and what it made of them.

use narrows_unpack::{Error, Event, Format, Limits, Options, Unpacker};

/// An entry's name and bytes.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// More than any input of the fuzzer's should give.
const BYTES_MAX: u64 = 8 << 20;

/// Decodes `input`, fed in pieces of `piece` bytes into blocks of `block`.
pub fn decode(input: &[u8], format: Format, piece: usize, block: usize) -> Result<Entries, Error> {
    let limits = Limits { entries_max: 256, archive_bytes_max: BYTES_MAX, ..Limits::default() };
    let mut unpacker = Unpacker::new(Options { format: Some(format), limits, seed: 7, ..Options::default() });
    let mut out = Vec::with_capacity(block);
    let mut entries = Entries::new();
    let (mut at, mut total, mut idle) = (0, 0, 0);
    loop {
        let until = input.len().min(at + piece);
        let step = unpacker.step(&input[at..until], until == input.len(), &mut out)?;
        assert!(step.consumed <= until - at, "more consumed than lent");
        assert!(out.len() <= block && out.capacity() == block, "the buffer was outgrown");
        total += out.len() as u64;
        assert!(total <= BYTES_MAX, "more out than the limit");
        // Progress: a call consumes, gives, or says something new.
        let silent = step.consumed == 0 && out.is_empty() && matches!(step.event, Event::NeedInput | Event::Full);
        idle = if silent { idle + 1 } else { 0 };
        assert!(idle < 4, "no progress at {at}");
        at += step.consumed;
        if let Some((_, bytes)) = entries.last_mut() {
            bytes.extend_from_slice(&out);
        } else {
            assert!(out.is_empty(), "bytes before the first entry");
        }
        out.clear();
        match step.event {
            Event::Entry(entry) => entries.push((entry.name_bytes().to_vec(), Vec::new())),
            Event::EntryEnd(end) => assert_eq!(end.size, entries.last().map_or(0, |(_, bytes)| bytes.len() as u64)),
            Event::End => return Ok(entries),
            Event::NeedInput | Event::Full => {}
        }
    }
}

/// Decodes in several ways, which must agree.
pub fn decode_alike(input: &[u8], format: Format) -> Result<Entries, Error> {
    let whole = decode(input, format, usize::MAX / 2, 64 << 10);
    for (piece, block) in [(1, 64 << 10), (7, 13)] {
        match (&whole, decode(input, format, piece, block)) {
            (Ok(one), Ok(other)) => assert!(*one == other, "pieces of {piece} give other bytes"),
            (Err(one), Err(other)) => assert_eq!(one.code(), other.code(), "pieces of {piece} give another error"),
            (one, other) => panic!("pieces of {piece}: {:?} and {:?}", one.is_ok(), other.map(|_| ())),
        }
    }
    whole
}
