//! The one place that drives an unpacker; tests choose bytes, options and how they are fed.
#![allow(dead_code)]

use std::path::PathBuf;

use narrows_unpack::{Error, Event, Options, Unpacker};

#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Unpacked {
    pub(crate) name: String,
    pub(crate) safe: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Feeds `data` in pieces of `piece` bytes, taking blocks of at most `block` bytes.
pub(crate) fn unpack(data: &[u8], options: &Options, piece: usize, block: usize) -> Result<Vec<Unpacked>, Error> {
    let mut unpacker = Unpacker::new(options.clone());
    let mut out = Vec::with_capacity(block);
    let mut entries: Vec<Unpacked> = Vec::new();
    let (mut at, mut lent) = (0, 0);
    loop {
        let step = unpacker.step(&data[at..at + lent], at + lent == data.len(), &mut out)?;
        assert!(out.capacity() == block, "the block grew");
        at += step.consumed;
        lent -= step.consumed;
        if let Event::Full = step.event {
            assert!(!out.is_empty() || block == 0);
        }
        if let Some(entry) = entries.last_mut() {
            entry.bytes.append(&mut out);
        }
        match step.event {
            Event::NeedInput => {
                assert_eq!(lent, 0, "asked for more while some was left");
                assert!(at < data.len(), "asked for more after the end");
                lent = piece.min(data.len() - at);
            }
            Event::Full => {}
            Event::Entry(entry) => {
                assert!(out.is_empty());
                let safe = entry.safe_path().is_ok();
                entries.push(Unpacked { name: entry.name(), safe, bytes: Vec::new() });
            }
            Event::EntryEnd(end) => {
                let entry = entries.last().expect("an entry began");
                assert_eq!(end.size, entry.bytes.len() as u64);
                if let Some(crc) = end.crc32 {
                    assert_eq!(crc, crc32fast::hash(&entry.bytes));
                }
            }
            Event::End => return Ok(entries),
        }
    }
}

/// The folder of shared test data, where there is one beside the checkout.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no shared test data at {}", path.display());
    None
}
