#![no_main]
//! What streams as a zip must be the same zip to a reader of its central directory.

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use narrows_fuzz::decode_alike;
use narrows_unpack::Format;

fuzz_target!(|input: &[u8]| {
    let Ok(entries) = decode_alike(input, Format::Zip) else { return };
    let mut archive = zip::ZipArchive::new(Cursor::new(input)).expect("accepted here, refused by the zip crate");
    assert_eq!(archive.len(), entries.len());
    for (name, bytes) in entries {
        let index = (0..archive.len()).find(|index| {
            archive.by_index_raw(*index).is_ok_and(|entry| entry.name_raw() == name)
        });
        let mut entry = archive.by_index(index.expect("no such name")).expect("an entry that opens");
        let mut expected = Vec::new();
        entry.read_to_end(&mut expected).expect("an entry that reads");
        assert!(expected == bytes, "other bytes");
    }
});
