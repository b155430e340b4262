#![no_main]
//! What is accepted as gzip gives the bytes that flate2 gives.

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use narrows_fuzz::decode_alike;
use narrows_unpack::Format;

fuzz_target!(|input: &[u8]| {
    let Ok(entries) = decode_alike(input, Format::Gzip) else { return };
    // Zeros behind the last member are padding here, as in GNU gzip, and an error in flate2.
    let zeros = input.iter().rev().take_while(|byte| **byte == 0).count();
    let expected = (0..=zeros).find_map(|padding| {
        let mut bytes = Vec::new();
        let members = &input[..input.len() - padding];
        flate2::read::MultiGzDecoder::new(members).read_to_end(&mut bytes).is_ok().then_some(bytes)
    });
    let expected = expected.expect("accepted here, refused by flate2");
    assert!(entries.len() == 1 && entries[0].1 == expected, "other bytes");
});
