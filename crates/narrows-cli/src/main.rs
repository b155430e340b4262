//! `narrows`: downloads, verifies and unpacks any number of files in the memory you choose.
#![deny(unsafe_code)]

mod args;
mod bars;
mod checksums;
mod cli;
mod consume;
mod demo;
mod descriptors;
mod exit;
mod gdelt;
mod get;
mod interrupts;
mod job;
mod journal;
mod limits;
mod list;
mod output;
mod place_args;
mod plan;
mod politeness;
mod progress;
mod record;
mod report_file;
mod rerun;
mod sink;
mod storage;
mod summary;
mod table_job;
mod tables;
mod tardis;
mod terminal;
mod units;
mod watch;

use std::process::ExitCode;

use args::{NaiveArgs, OriginArgs};
use clap::Parser;
use cli::{Cli, Command};
use exit::{Exit, Usage};
use narrows_origin::{naive, serve};

/// Of the allocators measured, the one whose resident memory stays closest to what is in use.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One arena instead of four a core, and what is freed goes back to the system within 200 ms. At
/// two arenas the same week of files peaks about 1 MB higher; at no decay it takes half as much
/// CPU again. Buffers of 256 KiB and more have pages of their own: encoders of tables set aside a
/// megabyte each and use a twentieth, which else would lie on pages that others have touched.
#[allow(unsafe_code, reason = "jemalloc reads its settings from a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: &[u8; 84] = b"narenas:1,dirty_decay_ms:200,muzzy_decay_ms:0,tcache:true,oversize_threshold:262144\0";

fn main() -> ExitCode {
    descriptors::raise();
    let mut arguments: Vec<_> = std::env::args_os().collect();
    // An address is no command: it is what `get` takes.
    if arguments.get(1).is_some_and(|first| first.to_string_lossy().contains("://")) {
        arguments.insert(1, "get".into());
    }
    let cli = Cli::parse_from(arguments);
    let ended = match cli.command {
        Command::Get(get) => get::run(get),
        Command::Plan(get) => plan::run(&get),
        Command::Origin(origin) => serve(origin),
        Command::Gdelt(gdelt) => gdelt::run(gdelt),
        Command::Bars(bars) => bars::run(bars),
        Command::Tardis(tardis) => tardis::run(tardis),
        Command::Demo(demo) => demo::run(&demo),
        Command::Naive(NaiveArgs { list, limit }) => match naive::run(&list, limit) {
            Ok(()) => Ok(Exit::Success),
            Err(error) => Err(Usage::new(error.to_string())),
        },
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(Usage { text, exit }) => {
            terminal::tell(format_args!("narrows: {text}"));
            ExitCode::from(exit)
        }
    }
}

fn serve(origin: OriginArgs) -> Result<Exit, Usage> {
    let OriginArgs { dir, port, seed, until_stdin_closes } = origin;
    serve::run(serve::Options { dir, port, seed, until_stdin_closes })?;
    Ok(Exit::Success)
}
