//! Arguments that commands have in common, and those of the smaller commands.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use narrows::{Budget, ClientOptions, NotFound, Options, Order, Protocol, RetryPolicy, fetch::Profile, unpack};
use narrows_jobs::{
    calendar::{Day, day},
    gdelt::{Content, Edition},
};
use narrows_tables::Form;

use crate::{
    exit::Usage,
    limits::{Limit, MemoryLimit, budget, limit, memory_limit},
    place_args::PlaceArgs,
    politeness::PolitenessArgs,
    terminal::tell,
    units::{duration, size},
};

#[derive(Args)]
pub(crate) struct GetArgs {
    /// Addresses to download
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// A list of addresses, read as places come free; - is stdin
    #[arg(long, short = 'i', value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
    /// Take [01-31] in an address for every number of it
    #[arg(long)]
    pub(crate) glob: bool,
    /// Check files by this list of checksums (SHA256SUMS, MD5SUMS, .CHECKSUM): lines of digest and name
    #[arg(long, value_name = "FILE")]
    pub(crate) checksums: Option<PathBuf>,
    /// Say what would be fetched and where it would go, and fetch nothing
    #[arg(long, conflicts_with = "schema")]
    pub(crate) dry_run: bool,
    /// Unpack zip, gzip and zstd; what is in none of them passes as it is
    #[arg(long)]
    pub(crate) unpack: bool,
    #[command(flatten)]
    pub(crate) sink: SinkArgs,
    #[command(flatten)]
    pub(crate) places: PlaceArgs,
    #[command(flatten)]
    pub(crate) tables: TableArgs,
    #[command(flatten)]
    pub(crate) transfers: TransferArgs,
    #[command(flatten)]
    pub(crate) reporting: ReportingArgs,
}

/// Files of rows as typed tables.
#[derive(Args)]
pub(crate) struct TableArgs {
    /// Make a typed table of each file: a known one (tardis.trades, gdelt.export, binance.spot.aggTrades,
    /// ..), or a file with a line for each column: its kind, a ? if it may be empty, its name
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["stdout", "discard", "output"])]
    pub(crate) schema: Option<String>,
    /// The form of the tables: parquet, or arrow (an IPC stream)
    #[arg(long, value_name = "parquet|arrow", default_value = "parquet", requires = "schema")]
    pub(crate) format: Form,
    /// Of tables, the columns to keep, by name; all by default
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', requires = "schema")]
    pub(crate) columns: Vec<String>,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
}

#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct SinkArgs {
    /// Write files into this directory, each once it is verified [default: .]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write everything to stdout, one source after another
    #[arg(long)]
    pub(crate) stdout: bool,
    /// Verify and count only
    #[arg(long)]
    pub(crate) discard: bool,
    /// Write the only source to this file, - is stdout
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TransferArgs {
    /// Most transfers at once; auto seeks as many as bring more, up to 50 [default: 10; for bars and
    /// tables: 4, or as many as fit]
    #[arg(long, value_name = "N|auto", value_parser = limit)]
    pub(crate) limit: Option<Limit>,
    /// Most memory for data, from the socket to the output; auto is half of what the container or
    /// the machine has
    #[arg(long, value_name = "SIZE|auto", default_value = "64MiB", value_parser = budget)]
    pub(crate) budget: u64,
    /// Make the job smaller as memory runs short: auto by what the container or the machine has, a size
    /// by what this process takes, container by a limit of the container's if there is one
    #[arg(long, value_name = "SIZE|auto|container|none", default_value = "container", value_parser = memory_limit)]
    pub(crate) memory_limit: MemoryLimit,
    #[command(flatten)]
    pub(crate) politeness: PolitenessArgs,
    /// Whether to take files as they are ready or in the list's order
    #[arg(long, default_value = "ready")]
    pub(crate) order: OrderArg,
    /// Retries in a row without progress
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) retries: u32,
    /// Longest wait for the next bytes
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) idle_timeout: Duration,
    /// Longest wait for a connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,
    /// Fewest bytes a second over a minute; 0 is none
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = size)]
    pub(crate) min_rate: u64,
    /// Largest file on the wire
    #[arg(long, value_name = "SIZE", default_value = "1TiB", value_parser = size)]
    pub(crate) max_file_size: u64,
    /// Largest entry of an archive, unpacked
    #[arg(long, value_name = "SIZE", default_value = "16GiB", value_parser = size)]
    pub(crate) max_entry_size: u64,
    /// Largest archive, unpacked
    #[arg(long, value_name = "SIZE", default_value = "64GiB", value_parser = size)]
    pub(crate) max_archive_size: u64,
    /// Most bytes out for a byte in, beyond the first 16 MiB
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) max_ratio: u32,
    /// End the job before less than that is free on the output's disk
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size)]
    pub(crate) min_free: u64,
    /// What a 404 means [default: fail; for gdelt without a master list: skip]
    #[arg(long)]
    pub(crate) not_found: Option<NotFoundArg>,
    /// A header for every source's own origin: "Name: value"
    #[arg(long, short = 'H', value_name = "HEADER", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Ask origins for gzip as content encoding
    #[arg(long)]
    pub(crate) compressed: bool,
    /// Trust the authorities in this PEM file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// What to call oneself [default: narrows/VERSION]
    #[arg(long, short = 'A', value_name = "NAME")]
    pub(crate) user_agent: Option<String>,
    /// Accept any certificate: whoever is on the way can read and change everything
    #[arg(long, short = 'k')]
    pub(crate) insecure: bool,
    /// Speak HTTP/2 to https:// origins that offer it; HTTP/1.1 is spoken otherwise
    #[arg(long)]
    pub(crate) http2: bool,
    /// Speak HTTP/2 to plain http:// origins
    #[arg(long)]
    pub(crate) http2_prior_knowledge: bool,
    /// What an HTTP/2 transfer gets at most in a round trip, and reserves [default: its share of the budget]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) http2_window: Option<u64>,
    /// Speak HTTP/1.1 only, which is the default
    #[arg(long, hide = true, conflicts_with_all = ["http2", "http2_prior_knowledge"])]
    pub(crate) http1: bool,
}

#[derive(Args, Clone)]
pub(crate) struct ReportingArgs {
    /// Write one JSON line for each source
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// The form of the summary at the end
    #[arg(long, default_value = "text")]
    pub(crate) summary: SummaryArg,
    /// Exit with 3 if the process ever held more than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) assert_peak: Option<u64>,
    /// Progress on stderr
    #[arg(long, default_value = "auto")]
    pub(crate) progress: ProgressArg,
    /// Neither progress nor a summary
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// A line on stderr for each source that ends
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Write every second what the process takes and how fast that grows, as JSON lines; - is stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) watch_memory: Option<PathBuf>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum OrderArg {
    Ready,
    List,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum NotFoundArg {
    Fail,
    Skip,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum SummaryArg {
    Text,
    Json,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProgressArg {
    Auto,
    Plain,
    None,
}

/// What becomes of rows that do not fit.
#[derive(Args)]
pub(crate) struct RowArgs {
    /// What a row means that does not fit, or is out of order: the file fails, or it is passed over and counted
    #[arg(long, default_value = "fail")]
    pub(crate) on_bad_row: OnBadRowArg,
    /// Write rows that are passed over to this file, each with the reason
    #[arg(long, value_name = "FILE")]
    pub(crate) rejected: Option<PathBuf>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum OnBadRowArg {
    Fail,
    Skip,
}

#[derive(Args)]
pub(crate) struct OriginArgs {
    /// Serve the files of this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// What generated content is drawn from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Stop when stdin is closed
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Args)]
pub(crate) struct GdeltArgs {
    /// The first day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) from: Day,
    /// The last day, inclusive
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) to: Day,
    /// Which table; gkg-counts are of 1.0, mentions of 2.0
    #[arg(long = "type", value_name = "TYPE", default_value = "export")]
    pub(crate) content: ContentArg,
    /// 2.0 has a file every 15 minutes since 2015; 1.0 one a day, and of events before April 2013 one a
    /// month or a year, which is taken whole
    #[arg(long, default_value = "2.0")]
    pub(crate) edition: EditionArg,
    /// The feed of translated articles
    #[arg(long)]
    pub(crate) translation: bool,
    /// Where the files are [default: http://data.gdeltproject.org, for 2.0 its /gdeltv2]
    #[arg(long, value_name = "URL")]
    pub(crate) base: Option<String>,
    /// Take the slots from a master list, a file or an address, and check their sizes and MD5
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) master: Option<String>,
    /// Write one file for each slot into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "stdout")]
    pub(crate) out: Option<PathBuf>,
    /// Write all rows to stdout; by default they are only counted
    #[arg(long)]
    pub(crate) stdout: bool,
    /// Text as it is, or typed columns at DIR/data_type=T/date=D/SLOT.parquet, or .arrows (an IPC stream)
    #[arg(long, default_value = "tsv")]
    pub(crate) format: FormatArg,
    /// Of tables, the columns to keep, by GDELT's names; all by default
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) transfers: TransferArgs,
    #[command(flatten)]
    pub(crate) reporting: ReportingArgs,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum ContentArg {
    Export,
    Mentions,
    Gkg,
    GkgCounts,
}

impl From<ContentArg> for Content {
    fn from(content: ContentArg) -> Self {
        match content {
            ContentArg::Export => Self::Export,
            ContentArg::Mentions => Self::Mentions,
            ContentArg::Gkg => Self::Gkg,
            ContentArg::GkgCounts => Self::GkgCounts,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum EditionArg {
    #[value(name = "1.0")]
    One,
    #[value(name = "2.0")]
    Two,
}

impl From<EditionArg> for Edition {
    fn from(edition: EditionArg) -> Self {
        match edition {
            EditionArg::One => Self::One,
            EditionArg::Two => Self::Two,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum FormatArg {
    Tsv,
    Parquet,
    Arrow,
}

impl FormatArg {
    /// The form of tables; none if it is the text as it is.
    pub(crate) fn form(self) -> Option<Form> {
        match self {
            Self::Tsv => None,
            Self::Parquet => Some(Form::Parquet),
            Self::Arrow => Some(Form::Arrow),
        }
    }
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Days of GDELT
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=31))]
    pub(crate) days: u32,
    /// Most transfers at once
    #[arg(long, default_value_t = 10)]
    pub(crate) limit: u32,
    /// Memory for data
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub(crate) budget: String,
}

#[derive(Args)]
pub(crate) struct NaiveArgs {
    /// A list of addresses
    pub(crate) list: PathBuf,
    /// Most transfers at once
    #[arg(long, default_value_t = 10)]
    pub(crate) limit: usize,
}

impl ReportingArgs {
    pub(crate) fn progress(&self) -> ProgressArg {
        if self.quiet { ProgressArg::None } else { self.progress }
    }
}

/// Transfers at once where nothing is said.
const LIMIT: u32 = 10;

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header has the form \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl TransferArgs {
    pub(crate) fn options(&self, unpacks: bool) -> Options {
        let limits = unpack::Limits {
            entry_bytes_max: self.max_entry_size,
            archive_bytes_max: self.max_archive_size,
            ratio_max: self.max_ratio,
            ..unpack::Limits::default()
        };
        Options::new()
            .name("this run")
            .limit(self.limit().most as usize)
            .adapts_limit(self.limit().adapts)
            .hosts(self.politeness.hosts())
            .order(if self.order == OrderArg::List { Order::List } else { Order::Ready })
            .retry(RetryPolicy::new().retries_max(self.retries))
            .idle_timeout(self.idle_timeout)
            .min_rate(self.min_rate)
            .file_size_max(self.max_file_size)
            .not_found(if self.not_found == Some(NotFoundArg::Skip) { NotFound::Skip } else { NotFound::Fail })
            .content_limits(limits.clone())
            .unpack(unpacks.then(|| unpack::Options { limits, ..unpack::Options::default() }))
            .seed(std::process::id().into())
    }

    /// The client for at most so many transfers at once.
    pub(crate) fn client(&self, transfers: usize, options: &Options) -> Result<ClientOptions, Usage> {
        if self.insecure {
            tell(format_args!("narrows: --insecure: certificates are not checked, so nothing that comes is safe"));
        }
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Usage::at(path, &error));
        let protocol = match (self.http2, self.http2_prior_knowledge) {
            (_, true) => Protocol::Http2PriorKnowledge,
            (true, false) => Protocol::Http2,
            (false, false) => Protocol::Http1,
        };
        Ok(ClientOptions::new()
            .protocol(protocol)
            .http2_window(
                self.http2_window.map_or_else(
                    || self.http2_share(transfers, options),
                    |bytes| u32::try_from(bytes).unwrap_or(u32::MAX),
                ),
            )
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent.clone())
            .accepts_any_certificate(self.insecure)
            .compressed(self.compressed)
            .authorities(self.cacert.as_ref().map(read).transpose()?.unwrap_or_default()))
    }

    /// What of the budget is left for the flow control window of each transfer.
    fn http2_share(&self, transfers: usize, options: &Options) -> u32 {
        let without = Profile { holds_back: true, exchange_bytes: 0 };
        let others = options.working_set(without).total() + (1 << 20);
        let share = self.budget / transfers.clamp(1, self.limit().most as usize) as u64;
        share.saturating_sub(others).clamp(256 << 10, 32 << 20) as u32
    }

    pub(crate) fn limit(&self) -> Limit {
        self.limit.unwrap_or(Limit { most: LIMIT, adapts: false })
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.budget)
    }
}
