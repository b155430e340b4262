#![no_main]
//! However zstd is fed, it gives the same bytes or the same error, within its limits.

use libfuzzer_sys::fuzz_target;
use narrows_fuzz::decode_alike;
use narrows_unpack::Format;

fuzz_target!(|input: &[u8]| drop(decode_alike(input, Format::Zstd)));
