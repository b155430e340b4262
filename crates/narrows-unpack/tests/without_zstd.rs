//! Without the feature `zstd` such content is refused by name; the other formats are as ever.
//! `cargo test -p narrows-unpack --no-default-features --test without_zstd`
#![cfg(not(feature = "zstd"))]

use narrows_unpack::{ErrorKind, Event, Options, Unpacker, Unsupported};

#[test]
fn content_of_zstd_is_refused_by_name() {
    let mut unpacker = Unpacker::new(Options::default());
    let mut out = Vec::with_capacity(64);
    let error = unpacker.step(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0], true, &mut out).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported(Unsupported::WithoutZstd));
    assert!(error.to_string().contains("feature `zstd`"), "{error}");
}

#[test]
fn other_content_is_decoded() {
    let mut unpacker = Unpacker::new(Options::default());
    let mut out = Vec::with_capacity(64);
    assert!(matches!(unpacker.step(b"plain", true, &mut out).unwrap().event, Event::Entry(_)));
    assert!(matches!(unpacker.step(b"plain", true, &mut out).unwrap().event, Event::EntryEnd(_)));
    assert!(Options::default().memory_max() > 0);
}
