//! Properties of every decoder over generated input: all ways of feeding agree, every cut is
//! noticed, no flipped bit passes unnoticed, and each limit bites at its number.

mod common;

use std::io::{Cursor, Write};

use common::{shared, unpack};
use flate2::{Compression, write::DeflateEncoder};
use narrows_unpack::{
    Allow, DirectoryAt, ErrorKind, Format, LimitKind, Limits, Options, StoredLengths, TAIL_BYTES, Unsupported,
};

/// Text that compresses like rows of numbers do.
fn rows(bytes: usize, seed: u64) -> Vec<u8> {
    let (mut text, mut state) = (Vec::with_capacity(bytes + 32), seed);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(text, "{}\t{}\tUSA", state >> 44, (state >> 20) % 997).expect("memory");
    }
    text.truncate(bytes);
    text
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

fn gzip(data: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, if name.is_some() { 8 } else { 0 }, 0, 0, 0, 0, 0, 255];
    if let Some(name) = name {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    }
    out.extend(deflate(data));
    out.extend(crc32fast::hash(data).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zip(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data, stored) in entries {
        let method = if *stored { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("memory");
        writer.write_all(data).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

/// The same entries, written without seeking: sizes in descriptors behind the data.
fn zip_with_descriptors(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (name, data) in entries {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("memory");
        writer.write_all(data).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

fn samples() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let data = rows(70_000, 1);
    let two = [gzip(&data[..30_000], Some("rows.csv")), gzip(&data[30_000..], None)].concat();
    let mut skippable = vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    skippable.extend(zstd(&data[..100]));
    skippable.extend(zstd(&data[100..]));
    vec![
        ("gzip", gzip(&data, None), data.clone()),
        ("gzip of two members", two, data.clone()),
        ("zstd", zstd(&data), data.clone()),
        ("zstd of two frames behind a skippable one", skippable, data.clone()),
        ("zip", zip(&[("a.csv", &data, false), ("empty", b"", false)]), data.clone()),
        ("stored zip", zip(&[("a.csv", &data, true)]), data.clone()),
        ("zip with descriptors", zip_with_descriptors(&[("a.csv", &data[..9]), ("b", &data[9..])]), data.clone()),
    ]
}

#[test]
fn every_way_of_feeding_gives_the_same() {
    for (what, packed, data) in samples() {
        for (piece, block) in [(1, 4096), (13, 1), (packed.len(), 65_536), (1000, 700)] {
            let entries = unpack(&packed, &Options::default(), piece, block).unwrap_or_else(|e| panic!("{what}: {e}"));
            let bytes: Vec<u8> = entries.into_iter().flat_map(|entry| entry.bytes).collect();
            assert!(bytes == data, "{what} fed by {piece} into {block}");
        }
    }
    for short in [&b""[..], b"P", b"PK", b"PK\x03", b"\x28\xb5\x2f", b"plain", b"1234"] {
        for (piece, block) in [(1, 1), (3, 2), (8, 64)] {
            let entries = unpack(short, &Options::default(), piece, block).expect("plain");
            assert_eq!(entries[0].bytes, short, "fed by {piece} into {block}");
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    for (what, packed, _) in samples() {
        // Past the signature, or it is not that format at all.
        let format = Format::detect(&packed);
        let options = Options { format: Some(format), ..Options::default() };
        let step = if packed.len() > 4000 { 211 } else { 1 };
        let boundaries = [packed.len() - 1, packed.len() - 4, packed.len() - 22];
        for cut in (0..packed.len()).step_by(step).chain(boundaries) {
            match unpack(&packed[..cut], &options, 512, 4096) {
                Err(error) if error.kind == ErrorKind::Truncated => {}
                other => panic!("{what} cut at {cut}: {other:?}"),
            }
        }
    }
}

#[test]
fn no_flipped_bit_passes_for_other_data() {
    let data = rows(900, 4);
    for packed in [gzip(&data, Some("n")), zip(&[("n", &data, false)]), zip_with_descriptors(&[("n", &data)])] {
        let format = Some(Format::detect(&packed));
        let mut harmless = 0;
        for bit in 0..packed.len() * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(entries) = unpack(&flipped, &Options { format, ..Options::default() }, 4096, 4096) {
                assert_eq!(entries[0].bytes, data, "bit {bit}");
                harmless += 1; // a time stamp, an attribute, a version
            }
        }
        assert!(harmless < 60 * 8, "{harmless} of {} bits do not matter", packed.len() * 8);
    }
}

#[test]
fn what_follows_the_end_is_an_error_unless_allowed() {
    let allow = Allow { trailing_data: true, ..Allow::default() };
    for (what, packed, data) in samples() {
        let junk = [&packed[..], b"junk!"].concat();
        let error = unpack(&junk, &Options::default(), 100, 4096).expect_err(what);
        assert_eq!(error.kind, ErrorKind::TrailingData, "{what}");
        let entries = unpack(&junk, &Options { allow, ..Options::default() }, 100, 4096).expect(what);
        assert_eq!(entries.iter().map(|entry| entry.bytes.len()).sum::<usize>(), data.len(), "{what}");
    }
    let padded = [&gzip(b"x", None)[..], &[0; 512]].concat();
    assert!(unpack(&padded, &Options::default(), 7, 100).is_ok(), "zeros are padding");
}

#[test]
fn prefixed_data_and_duplicate_names_pass_only_if_allowed() {
    let packed = [b"#!/bin/sh\n".as_slice(), &zip(&[("a", b"1", true)])].concat();
    let options = Options { format: Some(Format::Zip), ..Options::default() };
    assert_eq!(unpack(&packed, &options, 3, 10).expect_err("prefixed").code(), "bad_signature");
    let allow = Allow { prefixed_data: true, ..Allow::default() };
    assert_eq!(unpack(&packed, &Options { allow, ..options }, 3, 10).expect("allowed")[0].bytes, b"1");
    assert_eq!(
        unpack(&zip(&[("a", b"1", true)]), &Options { allow, format: Some(Format::Zip), ..Options::default() }, 3, 10)
            .expect("none")[0]
            .bytes,
        b"1"
    );
}

/// Found by fuzzing: disk numbers may be left to a zip64 record only where there is one.
#[test]
fn disk_numbers_are_not_left_to_a_record_that_is_missing() {
    let mut archive = zip(&[("a.csv", b"a", true)]);
    let end = archive.len() - 22;
    archive[end + 4..end + 8].fill(0xff);
    assert_eq!(unpack(&archive, &Options::default(), 7, 64).unwrap_err().code(), "unsupported");
}

#[test]
fn limits_bite_on_real_output() {
    let data = rows(50_000, 9);
    for (what, packed, _) in samples() {
        let over = |limits: Limits| unpack(&packed, &Options { limits, ..Options::default() }, 999, 4096);
        let limit = |kind, max| ErrorKind::Limit { limit: kind, max };
        let error = over(Limits { entry_bytes_max: 60_000, ..Limits::default() }).expect_err(what);
        assert_eq!(error.kind, limit(LimitKind::EntryBytes, 60_000), "{what}");
        let error = over(Limits { archive_bytes_max: 69_999, ..Limits::default() }).expect_err(what);
        assert_eq!(error.kind, limit(LimitKind::ArchiveBytes, 69_999), "{what}");
        assert!(over(Limits { archive_bytes_max: 70_000, ..Limits::default() }).is_ok(), "{what}");
    }
    let bomb = vec![0; 3 << 20];
    for packed in [gzip(&bomb, None), zip(&[("z", &bomb, false)])] {
        let ratio = |ratio_floor| Options { limits: Limits { ratio_floor, ..Limits::default() }, ..Options::default() };
        let error = unpack(&packed, &ratio(1 << 20), 4096, 4096).expect_err("1000 to 1");
        assert_eq!(error.kind, ErrorKind::Limit { limit: LimitKind::Ratio, max: 200 });
        assert!(unpack(&packed, &ratio(4 << 20), 4096, 4096).is_ok(), "small honest files pass");
    }
    let named = zip(&[("a-name-of-20-bytes..", &data, false)]);
    let limits = Limits { name_bytes_max: 19, ..Limits::default() };
    let error = unpack(&named, &Options { limits, ..Options::default() }, 64, 64).expect_err("name");
    assert_eq!(error.kind, ErrorKind::Limit { limit: LimitKind::NameBytes, max: 19 });
}

#[test]
fn a_promised_format_must_come() {
    let options = Options { expected: Some(Format::Zip), ..Options::default() };
    let error = unpack(b"<html>Not Found</html>", &options, 100, 100).expect_err("an error page");
    assert_eq!(error.kind, ErrorKind::WrongFormat { expected: Format::Zip, actual: Format::Plain });
    assert_eq!(unpack(b"", &options, 1, 1).expect_err("nothing").kind, ErrorKind::Truncated);
}

#[test]
fn a_large_zstd_window_is_refused_with_its_size() {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x78]; // window 2^25
    frame.extend([0x01, 0, 0]);
    let error = unpack(&frame, &Options::default(), 100, 100).expect_err("32 MiB");
    assert_eq!(error.kind, ErrorKind::Unsupported(Unsupported::ZstdWindow(32 << 20)));
}

#[test]
fn gzip_recordings_come_out_whole() {
    let Some(folder) = shared("gzip") else { return };
    let mut files = 0;
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        if file.path().extension().is_some_and(|ending| ending == "gz") {
            let packed = std::fs::read(file.path()).expect("a file");
            let mut expected = Vec::new();
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(&packed[..]), &mut expected).expect("gzip");
            let entries = unpack(&packed, &Options::default(), 16_384, 65_536).expect("gzip");
            assert!(entries[0].bytes == expected, "{:?}", file.path());
            files += 1;
        }
    }
    assert_eq!(files, 3);
}

/// An archive of stored entries with data descriptors, whose lengths only the directory tells.
fn described(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let le = |value: usize, bytes: usize| value.to_le_bytes()[..bytes].to_vec();
    for (name, data) in entries {
        let (at, crc) = (archive.len(), crc32fast::hash(data) as usize);
        let sizes = [le(crc, 4), le(data.len(), 4), le(data.len(), 4)].concat();
        archive.extend([&b"PK\x03\x04\x14\x00\x08\x00\x00\x00\x00\x00\x00\x00"[..], &[0; 12]].concat());
        archive.extend([le(name.len(), 2), le(0, 2), name.as_bytes().to_vec(), data.to_vec()].concat());
        archive.extend([b"PK\x07\x08".to_vec(), sizes.clone()].concat());
        directory.extend([&b"PK\x01\x02\x14\x00\x14\x00\x08\x00\x00\x00\x00\x00\x00\x00"[..], &sizes].concat());
        directory.extend([le(name.len(), 2), vec![0; 12], le(at, 4), name.as_bytes().to_vec()].concat());
    }
    let (count, start) = (le(entries.len(), 2), archive.len());
    archive.extend(&directory);
    archive.extend([&b"PK\x05\x06\x00\x00\x00\x00"[..], &count, &count].concat());
    archive.extend([le(directory.len(), 4), le(start, 4), le(0, 2)].concat());
    archive
}

fn learned(archive: &[u8], piece: usize) -> Result<StoredLengths, ErrorKind> {
    let tail = &archive[archive.len().saturating_sub(TAIL_BYTES as usize)..];
    let at = DirectoryAt::find(tail, archive.len() as u64)?;
    let mut lengths = StoredLengths::new(at.bytes, 100);
    for bytes in archive[at.start as usize..(at.start + at.bytes) as usize].chunks(piece) {
        lengths.push(bytes)?;
    }
    Ok(lengths.complete())
}

#[test]
fn lengths_from_the_directory_make_stored_entries_with_descriptors_streamable() {
    let tricky = b"PK\x07\x08 looks like a descriptor, PK\x03\x04 like an entry";
    let archive = described(&[("a", tricky), ("b", b""), ("c", b"more")]);
    let refused = unpack(&archive, &Options::default(), 7, 64).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unsupported(Unsupported::StoredWithDescriptor));
    for piece in [1, 5, 1000] {
        let lengths = learned(&archive, piece).unwrap();
        assert_eq!(lengths.len(), 3);
        let options = Options { stored_lengths: Some(lengths.into()), ..Options::default() };
        let unpacked = unpack(&archive, &options, piece, 64).unwrap();
        let bytes: Vec<&[u8]> = unpacked.iter().map(|entry| &entry.bytes[..]).collect();
        assert_eq!(bytes, [&tricky[..], b"", b"more"]);
    }
}

#[test]
fn lengths_that_are_wrong_are_found_out() {
    let archive = described(&[("a", b"eight by"), ("b", b"xy")]);
    let directory = learned(&archive, 1000).map(|_| archive.windows(4).position(|four| four == b"PK\x01\x02")).unwrap();
    for declared in [0, 7, 9, 200] {
        let mut changed = archive.clone();
        changed[directory.unwrap() + 20] = declared;
        changed[directory.unwrap() + 24] = declared;
        let options = Options { stored_lengths: Some(learned(&changed, 1000).unwrap().into()), ..Options::default() };
        assert!(unpack(&changed, &options, 1000, 64).is_err(), "{declared}");
    }
    let two = [archive.clone(), archive].concat();
    let options = Options { stored_lengths: learned(&two, 1000).ok().map(Into::into), ..Options::default() };
    assert!(unpack(&two, &options, 1000, 64).is_err(), "a second archive behind the first");
}
