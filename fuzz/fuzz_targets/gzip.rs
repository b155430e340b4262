#![no_main]
//! What is accepted as gzip gives the bytes that flate2 gives.

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use narrows_fuzz::decode_alike;
use narrows_unpack::Format;

fuzz_target!(|input: &[u8]| {
    let Ok(entries) = decode_alike(input, Format::Gzip) else { return };
    let mut expected = Vec::new();
    flate2::read::MultiGzDecoder::new(input).read_to_end(&mut expected).expect("accepted here, refused by flate2");
    assert!(entries.len() == 1 && entries[0].1 == expected, "other bytes");
});
