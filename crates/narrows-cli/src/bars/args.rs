//! The arguments of `narrows bars`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use narrows_bars::Threshold;
use narrows_jobs::{
    bars::{ChecksumPolicy, Market, OnBadRow, OnGap},
    calendar::{Day, day},
};

use super::output::Format;
use crate::{
    args::{OnBadRowArg, ReportingArgs, RowArgs, TransferArgs},
    units::duration,
};

#[derive(Args)]
pub(crate) struct BarsArgs {
    /// Files of trades, zip or CSV, in their order, instead of a symbol's days
    #[arg(value_name = "URL", conflicts_with_all = ["symbol", "list"])]
    pub(crate) urls: Vec<String>,
    /// A list of such files, one a line; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "symbol")]
    pub(crate) list: Option<PathBuf>,
    /// The symbol, as Binance writes it
    #[arg(long, value_name = "SYMBOL", requires_all = ["from", "to"], value_parser = symbol)]
    pub(crate) symbol: Option<String>,
    /// The market: spot, um (futures in dollars) or cm (futures in coins)
    #[arg(long, value_name = "spot|um|cm", default_value = "spot")]
    pub(crate) market: Market,
    /// The first day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "symbol")]
    pub(crate) from: Option<Day>,
    /// The last day, inclusive
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "symbol")]
    pub(crate) to: Option<Day>,
    /// Whether to take the files of days, or those of months where a whole month is asked for
    #[arg(long, default_value = "day")]
    pub(crate) period: PeriodArg,
    /// Where the files are
    #[arg(long, value_name = "URL", default_value = "https://data.binance.vision")]
    pub(crate) base: String,
    /// Widths of bars in tenths of a basis point: 250 is 0.25 %. Several are made in one pass
    #[arg(long, value_name = "N,..", value_delimiter = ',', required = true, value_parser = threshold)]
    pub(crate) threshold_dbps: Vec<Threshold>,
    /// Let a bar end at the time at which it began
    #[arg(long)]
    pub(crate) no_gate: bool,
    /// What the published SHA-256 is worth [default: require; skip for files of your own]
    #[arg(long, value_name = "require|warn|skip")]
    pub(crate) checksum: Option<ChecksumPolicy>,
    /// Only warn of this file's checksum: some published ones are wrong. Give it for each
    #[arg(long, value_name = "NAME")]
    pub(crate) wrong_checksum: Vec<String>,
    /// What trades missing between two others mean: report them, end the bar before them, or fail
    #[arg(long, default_value = "report")]
    pub(crate) on_gap: OnGapArg,
    /// Silence for longer is a gap, too
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_silence: Option<Duration>,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    /// Put trades in order that are at most so many rows late
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) reorder: u32,
    /// Write bars to this file; with several thresholds, {threshold} stands for each
    #[arg(long, value_name = "FILE", conflicts_with = "stdout")]
    pub(crate) out: Option<PathBuf>,
    /// The form of the files. Parquet and arrow (an IPC stream) are made of the rows in FILE.partial, which
    /// stay for runs that go on
    #[arg(long, default_value = "csv", requires = "out")]
    pub(crate) format: Format,
    /// Write bars to stdout; by default they are only counted
    #[arg(long)]
    pub(crate) stdout: bool,
    /// Write the bars in the making, too, when all files are read
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// Print the addresses of the files and download nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) transfers: TransferArgs,
    #[command(flatten)]
    pub(crate) reporting: ReportingArgs,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum PeriodArg {
    Day,
    Month,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum OnGapArg {
    Report,
    EndBar,
    Fail,
}

impl From<OnGapArg> for OnGap {
    fn from(on_gap: OnGapArg) -> Self {
        match on_gap {
            OnGapArg::Report => Self::Report,
            OnGapArg::EndBar => Self::EndBar,
            OnGapArg::Fail => Self::Fail,
        }
    }
}

impl From<OnBadRowArg> for OnBadRow {
    fn from(on_bad_row: OnBadRowArg) -> Self {
        match on_bad_row {
            OnBadRowArg::Fail => Self::Fail,
            OnBadRowArg::Skip => Self::Skip,
        }
    }
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let number = text.trim().parse().map_err(|_| format!("{text:?} is no whole number"))?;
    Threshold::new(number).map_err(|error| error.to_string())
}

/// It becomes a part of addresses.
fn symbol(text: &str) -> Result<String, String> {
    let is_symbol = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    match is_symbol {
        true => Ok(text.to_ascii_uppercase()),
        false => Err(format!("{text:?} is no symbol such as BTCUSDT or BTCUSD_PERP")),
    }
}
