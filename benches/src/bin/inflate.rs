//! The decoders alone: `narrows-unpack` against a bare flate2 loop with the same buffers, and
//! against libdeflate on whole input. Medians of interleaved runs, in one thread. `inflate [ZIP]`
//! takes the first entry of a zip, or generated rows.
#![allow(clippy::print_stdout)]

use std::{cell::RefCell, env, fs, time::Instant};

use flate2::{Decompress, FlushDecompress, Status};
use narrows_sim::{Prng, Style, rows, zip};
use narrows_unpack::{Event, Options, Unpacker};

const INPUT: usize = 64 << 10;
const BLOCK: usize = 128 << 10;
const ROUNDS: usize = 15;

fn main() {
    let archive = match env::args().nth(1) {
        Some(path) => fs::read(path).expect("a file"),
        None => zip(&[("rows.csv".into(), rows(&mut Prng::new(3), 48 << 20))], || Style::Deflated),
    };
    // Behind the local header, its name and extra field; the deflated stream ends by itself.
    let field = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let deflated = &archive[30 + field(26) + field(28)..];
    let length = inflate(deflated, false);
    // Touched once, so that no run pays for the pages.
    let out = RefCell::new(vec![1; length]);
    let runs: [(&str, &dyn Fn() -> usize); 4] = [
        ("narrows-unpack, zip", &|| unpack(&archive)),
        ("flate2 loop", &|| inflate(deflated, false)),
        ("flate2 loop + CRC-32", &|| inflate(deflated, true)),
        ("libdeflate, whole", &|| whole(deflated, &mut out.borrow_mut())),
    ];
    let mut seconds = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (index, (name, run)) in runs.iter().enumerate() {
            let start = Instant::now();
            assert_eq!(run(), length, "{name}");
            seconds[index].push(start.elapsed().as_secs_f64());
        }
    }
    let rate = |of: &mut Vec<f64>| {
        of.sort_by(f64::total_cmp);
        length as f64 / 1e6 / of[ROUNDS / 2]
    };
    let rates: Vec<f64> = seconds.iter_mut().map(rate).collect();
    println!("\nInflating {} MB, {ROUNDS} rounds", length / 1_000_000);
    for ((name, _), rate) in runs.iter().zip(&rates) {
        println!("{name:22}{rate:8.0} MB/s   narrows-unpack is {:.2} of it", rates[0] / rate);
    }
}

fn unpack(archive: &[u8]) -> usize {
    let mut unpacker = Unpacker::new(Options::default());
    let mut block = Vec::with_capacity(BLOCK);
    let (mut at, mut total) = (0, 0);
    loop {
        let until = archive.len().min(at + INPUT);
        let Ok(step) = unpacker.step(&archive[at..until], until == archive.len(), &mut block) else { return 0 };
        at += step.consumed;
        total += block.len();
        block.clear();
        if let Event::End = step.event {
            return total;
        }
    }
}

fn inflate(deflated: &[u8], checked: bool) -> usize {
    let mut inflater = Decompress::new(false);
    let mut block = Vec::with_capacity(BLOCK);
    let mut crc = crc32fast::Hasher::new();
    let (mut at, mut total) = (0, 0);
    loop {
        let until = deflated.len().min(at + INPUT);
        let before = inflater.total_in();
        let status = inflater.decompress_vec(&deflated[at..until], &mut block, FlushDecompress::None);
        at += (inflater.total_in() - before) as usize;
        if block.len() == BLOCK || !matches!(status, Ok(Status::Ok)) {
            if checked {
                crc.update(&block);
            }
            total += block.len();
            block.clear();
        }
        match status {
            Ok(Status::StreamEnd) => return total,
            Ok(_) => {}
            Err(_) => return 0,
        }
    }
}

fn whole(deflated: &[u8], out: &mut [u8]) -> usize {
    libdeflater::Decompressor::new().deflate_decompress(deflated, out).unwrap_or(0)
}
