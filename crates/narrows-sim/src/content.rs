//! What origins serve: bytes drawn from a seed, packed in every format, and what must come out.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::DeflateEncoder};
use md5::{Digest, Md5};
use narrows_core::{Prng, Source};

/// A resource in one of its versions.
#[derive(Clone, Debug)]
pub struct Content {
    /// As it is stored and sent.
    pub wire: Bytes,
    /// What unpacking gives: names and bytes. One nameless entry for single streams.
    pub entries: Vec<(String, Vec<u8>)>,
    /// Whether unpacking must fail.
    pub corrupt: bool,
    /// Whether the format itself shows where it ends.
    pub structured: bool,
}

/// How bytes are packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// One gzip member or more.
    Gzip,
    /// A zip of several entries, some with data descriptors.
    Zip,
    /// A zstd frame.
    Zstd,
}

impl Packing {
    /// The ending of a name that promises it.
    pub fn ending(self) -> &'static str {
        ["", ".gz", ".zip", ".zst"][self as usize]
    }
}

impl Content {
    /// The content that `seed` stands for, about `length` bytes unpacked. One in eight is corrupt
    /// if `corruptible`.
    pub fn draw(seed: u64, packing: Packing, length: usize, corruptible: bool) -> Self {
        let mut prng = Prng::new(seed);
        let data = rows(&mut prng, length);
        let (wire, entries) = match packing {
            Packing::Plain => (data.clone(), vec![(String::new(), data)]),
            Packing::Gzip => {
                let split = prng.below(length as u64 + 1) as usize;
                let members = if prng.below(2) == 0 { vec![&data[..]] } else { vec![&data[..split], &data[split..]] };
                (members.into_iter().flat_map(gzip).collect(), vec![(String::new(), data)])
            }
            Packing::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                (ruzstd::encoding::compress_to_vec(&data[..], level), vec![(String::new(), data)])
            }
            Packing::Zip => {
                let count = 1 + prng.below(4) as usize;
                let entries: Vec<_> = data
                    .chunks(length.div_ceil(count).max(1))
                    .enumerate()
                    .map(|(index, part)| (format!("{index}/rows.csv"), part.to_vec()))
                    .collect();
                let styles = [Style::Stored, Style::Deflated, Style::Described];
                (zip(&entries, || styles[prng.below(3) as usize]), entries)
            }
        };
        let mut content = Self { wire: wire.into(), entries, corrupt: false, structured: packing != Packing::Plain };
        if corruptible && content.structured && prng.below(8) == 0 {
            content.corrupt(&mut prng);
        }
        content
    }

    /// Breaks a checksum or cuts the end off.
    fn corrupt(&mut self, prng: &mut Prng) {
        let mut wire = self.wire.to_vec();
        match prng.below(2) {
            0 => wire.truncate(wire.len() - 1 - prng.below(4) as usize),
            // Data for which no format has a place.
            _ => wire.extend_from_slice(b"<html>"),
        }
        self.wire = wire.into();
        self.corrupt = true;
    }

    /// All that comes out, one entry after another.
    pub fn unpacked(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|(_, bytes)| bytes).copied().collect()
    }

    /// A source that says beforehand what comes.
    pub fn expect(&self, source: Source) -> Source {
        source.size(self.wire.len() as u64).md5(Md5::digest(&self.wire).into())
    }
}

/// Rows of numbers, which compress about three to one.
pub fn rows(prng: &mut Prng, length: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(length + 40);
    while data.len() < length {
        let value = prng.next_u64();
        let _ = writeln!(data, "{}\t{}\tUSA\t", value >> 40, value & 0xff);
    }
    data.truncate(length);
    data
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(1));
    let written = encoder.write_all(data).and_then(|()| encoder.finish());
    written.unwrap_or_else(|_| unreachable!("memory takes everything"))
}

/// One gzip member.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(deflate(data));
    out.extend(crc32fast::hash(data).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out
}

/// How an entry of a zip is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// As it is.
    Stored,
    /// Deflated.
    Deflated,
    /// Deflated, its sizes behind it in a data descriptor.
    Described,
}

/// A zip whose entries have the styles that `style` gives.
pub fn zip(entries: &[(String, Vec<u8>)], mut style: impl FnMut() -> Style) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let style = style();
        let packed = if style == Style::Stored { data.clone() } else { deflate(data) };
        let (method, flags): (u16, u16) = match style {
            Style::Stored => (0, 0),
            Style::Deflated => (8, 0),
            Style::Described => (8, 8),
        };
        let crc = crc32fast::hash(data);
        let sizes = [crc, packed.len() as u32, data.len() as u32];
        let offset = out.len() as u32;
        let fixed = |out: &mut Vec<u8>, sizes: [u32; 3]| {
            [20, flags, method, 0, 0].into_iter().for_each(|field: u16| out.extend(field.to_le_bytes()));
            sizes.into_iter().for_each(|field| out.extend(field.to_le_bytes()));
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(0u16.to_le_bytes());
        };
        out.extend(*b"PK\x03\x04");
        fixed(&mut out, if style == Style::Described { [0; 3] } else { sizes });
        out.extend(name.as_bytes());
        out.extend(&packed);
        if style == Style::Described {
            out.extend(*b"PK\x07\x08");
            sizes.into_iter().for_each(|field| out.extend(field.to_le_bytes()));
        }
        directory.extend(*b"PK\x01\x02\x14\x00");
        fixed(&mut directory, sizes);
        directory.extend([0; 10]); // comment length, disk, attributes
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, entries.len() as u16);
    out.extend(&directory);
    out.extend(*b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}
