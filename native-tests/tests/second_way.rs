//! Archives that cannot be streamed are read from a temporary file by the same machine: what is
//! refused in a stream is refused there.

use std::fs;

use native_tests::{Origin, files, get};

/// An archive of two stored entries with data descriptors, field by field.
#[derive(Clone)]
struct Archive {
    entries: Vec<Entry>,
    /// What the end record says, where it is not what it should be.
    count: Option<u16>,
    directory_bytes: Option<u32>,
    directory_offset: Option<u32>,
    before: Vec<u8>,
    after: Vec<u8>,
    comment: Vec<u8>,
}

#[derive(Clone)]
struct Entry {
    name: &'static str,
    data: Vec<u8>,
    /// What the central header says, where it differs.
    central_name: &'static str,
    central_size: Option<u32>,
    central_crc: Option<u32>,
    central_method: u16,
    central_flags: u16,
    /// What the descriptor says.
    descriptor_crc: Option<u32>,
    in_directory: usize,
    in_stream: bool,
}

fn entry(name: &'static str, data: &[u8]) -> Entry {
    Entry {
        name,
        data: data.into(),
        central_name: name,
        central_size: None,
        central_crc: None,
        central_method: 0,
        central_flags: 8,
        descriptor_crc: None,
        in_directory: 1,
        in_stream: true,
    }
}

impl Archive {
    fn new() -> Self {
        let tricky = b"PK\x07\x08 looks like a descriptor and is none";
        let entries = vec![entry("a.txt", tricky), entry("b.txt", b"eight by")];
        Self {
            entries,
            count: None,
            directory_bytes: None,
            directory_offset: None,
            before: Vec::new(),
            after: Vec::new(),
            comment: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut archive, mut directory, mut count) = (self.before.clone(), Vec::new(), 0u16);
        let le32 = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let le16 = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        for entry in &self.entries {
            let (at, crc) = (archive.len() as u32, crc32fast::hash(&entry.data));
            let size = entry.data.len() as u32;
            if entry.in_stream {
                archive.extend([&b"PK\x03\x04"[..], &le16(&[20, 8, 0, 0, 0]), &[0; 12]].concat());
                archive.extend([le16(&[entry.name.len() as u16, 0]), entry.name.into(), entry.data.clone()].concat());
                let crc = entry.descriptor_crc.unwrap_or(crc);
                archive.extend([b"PK\x07\x08".to_vec(), le32(&[crc, size, size])].concat());
            }
            for _ in 0..entry.in_directory {
                count += 1;
                let central_size = entry.central_size.unwrap_or(size);
                let sizes = le32(&[entry.central_crc.unwrap_or(crc), central_size, central_size]);
                let name = entry.central_name;
                directory.extend(b"PK\x01\x02");
                directory.extend(le16(&[20, 20, entry.central_flags, entry.central_method, 0, 0]));
                directory.extend([sizes, le16(&[name.len() as u16, 0, 0, 0, 0]), le32(&[0, at])].concat());
                directory.extend(name.as_bytes());
            }
        }
        let start = archive.len() as u32;
        let (bytes, count) = (directory.len() as u32, self.count.unwrap_or(count));
        archive.extend(directory);
        archive.extend([&b"PK\x05\x06"[..], &le16(&[0, 0, count, count])].concat());
        let (bytes, start) = (self.directory_bytes.unwrap_or(bytes), self.directory_offset.unwrap_or(start));
        archive.extend([le32(&[bytes, start]), le16(&[self.comment.len() as u16]), self.comment.clone()].concat());
        archive.extend(&self.after);
        archive
    }
}

#[test]
fn structural_defects_are_refused_and_nothing_is_written() {
    let good = Archive::new();
    let with = |change: &dyn Fn(&mut Archive)| {
        let mut archive = good.clone();
        change(&mut archive);
        archive.bytes()
    };
    let other = |name| Archive { entries: vec![entry(name, b"another")], ..Archive::new() };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("checksum in the descriptor", with(&|archive| archive.entries[1].descriptor_crc = Some(7))),
        ("checksum in the directory", with(&|archive| archive.entries[1].central_crc = Some(7))),
        ("name", with(&|archive| archive.entries[1].central_name = "c.txt")),
        ("method", with(&|archive| archive.entries[1].central_method = 8)),
        ("flags", with(&|archive| archive.entries[0].central_flags = 0x0808)),
        ("a size too small", with(&|archive| archive.entries[1].central_size = Some(7))),
        ("a size too large", with(&|archive| archive.entries[1].central_size = Some(9))),
        ("declared 8 bytes, 0 in the directory", with(&|archive| archive.entries[1].central_size = Some(0))),
        ("an entry that the directory lacks", with(&|archive| archive.entries[0].in_directory = 0)),
        ("an entry that the stream lacks", with(&|archive| archive.entries[1].in_stream = false)),
        ("an entry twice in the directory", with(&|archive| archive.entries[1].in_directory = 2)),
        ("two entries of one name", with(&|archive| archive.entries[1] = entry("a.txt", b"twice"))),
        ("the count", with(&|archive| archive.count = Some(3))),
        ("the directory's size", with(&|archive| archive.directory_bytes = Some(100))),
        ("the directory's offset", with(&|archive| archive.directory_offset = Some(3))),
        ("data before", with(&|archive| archive.before = b"#!/bin/sh\n".to_vec())),
        ("data after", with(&|archive| archive.after = b"more".to_vec())),
        ("a suspicious comment", with(&|archive| archive.comment = b"PK\x05\x06 in it".to_vec())),
        ("a second archive behind", with(&|archive| archive.after = other("c.txt").bytes())),
        ("a second archive before", with(&|archive| archive.before = other("c.txt").bytes())),
        ("a name that leaves", {
            let mut archive = good.clone();
            archive.entries[1] = entry("../up.txt", b"evil");
            archive.bytes()
        }),
        ("a name that some systems reserve", {
            let mut archive = good.clone();
            archive.entries[1] = entry("nul.txt", b"evil");
            archive.bytes()
        }),
    ];
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("good.zip"), good.bytes()).unwrap();
    for (index, (_, archive)) in cases.iter().enumerate() {
        fs::write(scratch.path().join(format!("{index}.zip")), archive).unwrap();
    }
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let out = scratch.path().join("out");
    let unpack = |name: &str| get(&[&origin.url(name), "--unpack", "--out", out.to_str().unwrap()]);
    let (status, summary, stderr) = unpack("/good.zip");
    assert_eq!((status, summary["entries"].as_u64()), (0, Some(2)), "{stderr}");
    assert_eq!(files(&out), ["good/a.txt", "good/b.txt"]);
    for (index, (what, _)) in cases.iter().enumerate() {
        let (status, _, stderr) = unpack(&format!("/{index}.zip"));
        assert_eq!(status, 1, "{what} passed: {stderr}");
        assert_eq!(files(&out), ["good/a.txt", "good/b.txt"], "{what}: {stderr}");
    }
}

#[test]
fn limits_hold_for_what_comes_out_of_the_temporary_file() {
    let mut archive = Archive::new();
    archive.entries.push(entry("c.txt", &[b'x'; 100_000]));
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("a.zip"), archive.bytes()).unwrap();
    let origin = Origin::start(&["--dir", scratch.path().to_str().unwrap()]);
    let (status, _, stderr) = get(&[&origin.url("/a.zip"), "--unpack", "--discard", "--max-entry-size", "50000"]);
    assert!(status == 1 && stderr.contains("c.txt") && stderr.contains("50000"), "{stderr}");
    let (status, ..) = get(&[&origin.url("/a.zip"), "--unpack", "--discard", "--max-archive-size", "100000"]);
    assert_eq!(status, 1);
}
