//! The simulator and the gzip decoder behind a C interface, to run them where WebAssembly runs.

use std::cell::RefCell;

use narrows_sim::{gzip, rows};
use narrows_unpack::{Event, Format, Options, Unpacker};

thread_local! {
    static PACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The digest of what happens for the seeds `first..end`; 0 if one violates the contract.
#[unsafe(no_mangle)]
pub extern "C" fn simulate(first: u64, end: u64) -> u64 {
    narrows_sim::digest(first..end).unwrap_or(0)
}

/// Packs so many megabytes of rows for [`inflate`].
#[unsafe(no_mangle)]
pub extern "C" fn prepare(megabytes: u32) {
    let rows = rows(&mut narrows_sim::Prng::new(7), (megabytes as usize) << 20);
    PACKED.set(gzip(&rows));
}

/// Where the packed bytes are.
#[unsafe(no_mangle)]
pub extern "C" fn packed() -> *const u8 {
    PACKED.with_borrow(|packed| packed.as_ptr())
}

/// How many there are.
#[unsafe(no_mangle)]
pub extern "C" fn packed_length() -> usize {
    PACKED.with_borrow(Vec::len)
}

/// Unpacks them in pieces of 64 KiB into blocks of 128 KiB and counts the bytes; 0 on an error.
#[unsafe(no_mangle)]
pub extern "C" fn inflate() -> u64 {
    PACKED.with_borrow(|packed| unpack(packed).unwrap_or(0))
}

fn unpack(packed: &[u8]) -> Option<u64> {
    let mut unpacker = Unpacker::new(Options { format: Some(Format::Gzip), ..Options::default() });
    let mut block = Vec::with_capacity(128 << 10);
    let (mut at, mut total) = (0, 0);
    loop {
        let until = packed.len().min(at + (64 << 10));
        let step = unpacker.step(&packed[at..until], until == packed.len(), &mut block).ok()?;
        at += step.consumed;
        total += block.len() as u64;
        block.clear();
        if let Event::End = step.event {
            return Some(total);
        }
    }
}
