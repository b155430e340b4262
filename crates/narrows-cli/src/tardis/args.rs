//! The arguments of `narrows tardis`.

use std::path::PathBuf;

use clap::Args;
use narrows_jobs::calendar::{Day, day};
use narrows_tables::{
    Form,
    tardis::{TYPES, schema},
};

use crate::args::{ReportingArgs, RowArgs, TransferArgs};

#[derive(Args)]
pub(crate) struct TardisArgs {
    /// The exchange, as Tardis writes it: deribit, binance-futures
    #[arg(long, value_name = "NAME", value_parser = part)]
    pub(crate) exchange: String,
    /// Types of data: trades, incremental_book_L2, quotes, book_ticker, book_snapshot_5, book_snapshot_25,
    /// derivative_ticker, liquidations, options_chain
    #[arg(long = "type", value_name = "TYPE,..", value_delimiter = ',', required = true, value_parser = data_type)]
    pub(crate) types: Vec<String>,
    /// Symbols, as Tardis writes them
    #[arg(long, value_name = "SYMBOL,..", value_delimiter = ',', value_parser = part)]
    pub(crate) symbol: Vec<String>,
    /// A file of symbols, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) symbols_file: Option<PathBuf>,
    /// The first day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) from: Day,
    /// The last day, inclusive
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) to: Day,
    /// Only symbols of this shard of so many, numbered from 0, by a hash that is the same everywhere
    #[arg(long, value_name = "N/OF", value_parser = shard)]
    pub(crate) shard: Option<(u32, u32)>,
    /// Columns to keep, by name; all by default
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    /// Read the key from this file instead of TARDIS_API_KEY
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Where the files are
    #[arg(long, value_name = "URL", default_value = "https://datasets.tardis.dev")]
    pub(crate) base: String,
    /// Write tables into this directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// The form of the tables: parquet, or arrow (an IPC stream, for programs that take it as it is)
    #[arg(long, value_name = "parquet|arrow", default_value = "parquet")]
    pub(crate) format: Form,
    /// Print the addresses of the files and download nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) transfers: TransferArgs,
    #[command(flatten)]
    pub(crate) reporting: ReportingArgs,
}

/// It becomes a part of addresses and of paths.
pub(crate) fn part(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is no name of letters, digits, - and _ (Tardis writes / and : as -)")),
    }
}

fn data_type(text: &str) -> Result<String, String> {
    match schema(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is none of {}", TYPES.join(", "))),
    }
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let pair = text.split_once('/').and_then(|(at, of)| Some((at.parse().ok()?, of.parse().ok()?)));
    pair.filter(|(at, of)| at < of).ok_or_else(|| format!("{text:?} is no shard of the form 3/30, from 0 to 29"))
}
