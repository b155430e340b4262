//! `Options::memory_max` must be no less than what a decoder really allocates.

use std::io::Write;

use counting::{Counting, peak};
use narrows_unpack::{Event, Format, Limits, Options, Unpacker};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Unpacks `data`; what comes out is thrown away.
fn unpack(data: &[u8], options: &Options, out: &mut Vec<u8>) {
    let mut unpacker = Unpacker::new(options.clone());
    let mut input = data;
    loop {
        let step = unpacker.step(input, true, out).expect("sound");
        input = &input[step.consumed..];
        out.clear();
        if let Event::End = step.event {
            return;
        }
    }
}

fn zip_of(entries: usize, name_bytes: usize) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..entries {
        let name = format!("{index:0name_bytes$}");
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("memory");
        writer.write_all(b"x").expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

// One test, for the counters are the process's.
#[test]
fn no_decoder_takes_more_than_it_says() {
    let limits = Limits { entries_max: 5_000, ..Limits::default() };
    let check = |what: &str, data: &[u8], format| {
        let options = Options { format: Some(format), limits: limits.clone(), ..Options::default() };
        let mut out = Vec::with_capacity(128 * 1024);
        let ((), peak) = peak(|| unpack(data, &options, &mut out));
        let max = options.memory_max() as usize;
        eprintln!("{what}: {peak} of {max} bytes");
        assert!(peak <= max, "{what}: {peak} bytes, {max} stated");
        assert!(peak * 8 >= max, "{what}: the bound is far off: {peak} of {max}");
    };
    check("zip of many entries", &zip_of(5_000, 8), Format::Zip);
    check("zip of long names", &zip_of(600, 4_000), Format::Zip);
    let text: Vec<u8> = (0..9_000_000u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
    let mut gz = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).expect("memory");
    gz.extend(encoder.finish().expect("memory"));
    gz.extend(crc32fast::hash(&text).to_le_bytes());
    gz.extend((text.len() as u32).to_le_bytes());
    check("gzip", &gz, Format::Gzip);
    // A frame of raw blocks with the largest window allowed: byte 0x58 says 2 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let blocks: Vec<&[u8]> = text.chunks(128 * 1024).collect();
    for (index, block) in blocks.iter().enumerate() {
        let last = u32::from(index + 1 == blocks.len());
        frame.extend(&((block.len() as u32) << 3 | last).to_le_bytes()[..3]);
        frame.extend(*block);
    }
    check("zstd", &frame, Format::Zstd);
}
