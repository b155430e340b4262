//! The command line: its commands, with examples.

use clap::{Parser, Subcommand};

use crate::{
    args::{DemoArgs, GdeltArgs, GetArgs, NaiveArgs, OriginArgs},
    bars::args::BarsArgs,
    tardis::args::TardisArgs,
};

/// Downloads, verifies and unpacks any number of files in the memory you choose.
#[derive(Parser)]
#[command(name = "narrows", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Download, verify and unpack files
    #[command(after_help = GET_EXAMPLES)]
    Get(GetArgs),
    /// Say what memory a job will need, term by term, without downloading anything
    Plan(GetArgs),
    /// Serve files over HTTP on 127.0.0.1 for demos, tests and benchmarks
    #[command(after_help = ORIGIN_HELP)]
    Origin(OriginArgs),
    /// Download days of GDELT, count the rows, write them as TSV or as typed tables
    #[command(after_help = GDELT_EXAMPLES)]
    Gdelt(GdeltArgs),
    /// Make range bars of aggregate trades: days and months of Binance, or files of your own
    #[command(after_help = BARS_EXAMPLES)]
    Bars(BarsArgs),
    /// Download days of market data from Tardis, as typed tables by exchange, type, day and symbol
    #[command(after_help = TARDIS_EXAMPLES)]
    Tardis(TardisArgs),
    /// Run a week of GDELT from a local origin beside the naive way, and draw both memory curves
    Demo(DemoArgs),
    /// The naive way, for comparison: every file whole in memory until all are there
    #[command(hide = true)]
    Naive(NaiveArgs),
}

const GET_EXAMPLES: &str = "\
Examples:
  narrows https://example.com/a.csv                      into this directory; get may be left out
  narrows get https://example.com/a.csv -o b.csv         under another name, - is stdout
  narrows get https://example.com/a.zip --unpack --out data
  narrows get -i urls.txt --out data --report report.jsonl --limit 20 --budget 128MiB
  narrows get -i urls.txt --out mirror -x                as HOST/PATH
  narrows get --glob 'https://example.com/day[01-31].csv' --out days --checksums SHA256SUMS
  narrows get -i urls.txt --out data --dry-run           what would be fetched, and where to
  narrows get --list masterfilelist.txt --unpack --discard --summary json
  zcat urls.gz | narrows get --list - --stdout > all.csv
  narrows get --schema binance.spot.aggTrades --list days.txt --out trades
  narrows get --schema ./prices.schema https://example.com/prices.csv.gz --format arrow

With --out a journal is kept: the same command again, after a kill, a full disk or a failure, fetches what is not
done and nothing else. What is done and still there is not asked for; --exists overwrite fetches it anew.

Lists have one URL a line, which name=, size=, md5= and sha256= may follow; or `size md5 url` as GDELT's master
lists; or JSON: {\"url\": .., \"name\": .., \"sha256\": .., \"headers\": {\"Name\": \"value\"}}. Sizes and digests are
checked. Blank lines and lines that start with # are passed over.
An archive's entries have a folder of its name, but for a single one that is called as the archive is.
A file for --schema has a line for each column, such as `timestamp time`, `decimal(8) price`, `utf8? note`,
and may say `separator: tab` and `header: none` (or detected) before them.
Archives that cannot be streamed go through a temporary file: in DIR, or in $TMPDIR without one.

Exit status: 0 all done or skipped, 1 some failed or nothing was there, 2 usage, 3 an assertion failed, 4 the output, the report or the
journal could not be written, 130 interrupted by a signal.";

const GDELT_EXAMPLES: &str = "\
Examples:
  narrows gdelt --from 2026-01-01 --to 2026-01-07 --type export
  narrows gdelt --from 2026-01-01 --to 2026-01-01 --type gkg --out slots --report slots.jsonl
  narrows gdelt --from 2026-01-01 --to 2026-01-31 --master masterfilelist.txt --stdout > month.tsv
  narrows gdelt --from 2026-01-01 --to 2026-01-31 --type gkg --format parquet --out slots \\
      --columns GKGRECORDID,V2.1DATE,V1THEMES --on-bad-row skip
  narrows gdelt --edition 1.0 --from 2013-01-01 --to 2013-12-31 --format parquet --out events
  narrows gdelt --from 2026-01-01 --to 2026-12-31 --out new \\
      --master http://data.gdeltproject.org/gdeltv2/lastupdate.txt

Each day of 2.0 has 96 slots of 15 minutes. Slots that GDELT never published answer 404 and are skipped.
A second run into DIR fetches the slots whose files are not there.";

const BARS_EXAMPLES: &str = "\
Examples:
  narrows bars --symbol BTCUSDT --from 2024-01-01 --to 2024-12-31 --threshold-dbps 250 --out btc.csv
  narrows bars --symbol ETHUSDT --market um --period month --from 2024-01-01 --to 2024-06-30 \\
      --threshold-dbps 100,250 --out 'eth-{threshold}.csv' --on-gap end-bar --max-silence 1h
  narrows bars --list days.txt --threshold-dbps 250 --checksum skip --stdout > bars.csv

A run that was stopped goes on where it was when the same command is given again: beside the output
there is FILE.state, and FILE.partial until it is complete. A later --to adds days to a complete file.
A file that breaks off, or is not as published, ends the run after the last file that is whole.

Exit status: 0 all files done or missing, 1 a file failed, 2 usage, 3 an assertion failed, 4 a disk did,
130 interrupted.";

const TARDIS_EXAMPLES: &str = "\
Examples:
  narrows tardis --exchange deribit --type trades,quotes --symbol BTC-PERPETUAL,ETH-PERPETUAL \\
      --from 2024-01-01 --to 2024-01-31 --out ticks
  narrows tardis --exchange binance --type incremental_book_L2 --symbols-file symbols.txt \\
      --from 2024-01-01 --to 2024-01-01 --shard 3/30 --out ticks --summary json

The key is read from TARDIS_API_KEY or --key-file; without one, the first day of each month is free.
Files are at DIR/exchange=E/data_type=T/date=D/SYMBOL.parquet, whole or not at all. A second run takes
only those that are not there. Days without data answer 404 and are counted as missing, not as failed.
Where a key is given and the first 12 files are refused (401, 403), nothing more is asked for.

Exit status: 0 all done, there or missing, 1 some failed or all are missing, 2 usage, 3 an assertion failed, 4 a
disk did, 130 interrupted.";

const ORIGIN_HELP: &str = "\
The first line on stdout is the base URL. Besides the files of --dir it generates, by seed:
  /gdeltv2/20260101001500.export.CSV.zip   a GDELT slot (export, mentions, gkg)
  /gdeltv2/masterfilelist.txt?from=20260101&days=7
  /trades/2026-01-01.zip?mb=80             daily trades, so many MB of text
  /ticks/2026-01-01.csv.gz?mb=10           gzip ticks
  /bytes/1048576?name=7                    so many bytes
  /data/spot/daily/aggTrades/S/S-aggTrades-2024-01-31.zip?trades=20000
                                           aggregate trades and .CHECKSUM, daily and monthly, spot and futures;
                                           gap=N disorder=N bad-row=N wrong-checksum
  /v1/deribit/trades/2024/01/31/BTC-PERPETUAL.csv.gz?rows=20000
                                           days of Tardis, of every type; bad-row=N wrong-header key=KEY
  /entries/two.zip                         two entries without a line feed at their ends
  /origin/open                             how many bodies are being sent

Every path takes faults, separated by &:
  status=503  retry-after=2  reset=BYTES  cut=BYTES  stall=BYTES  latency-ms=N  redirect=URL
  wrong-range  and  times=N: these only for the first N requests
  rate=BYTES_PER_SECOND  no-ranges  no-length  no-etag  weak-etag  gzip (as content encoding)
  change (other bytes at every request), hide (pages of other origins see few headers),
  no-cors (they see nothing)
  rewrap, bare (a part is answered as if it were everything, with or without its headers)
  deny-range (416), short (half of the part asked for)

For programs that make addresses of a base, wishes may stand in its path: /with/trades=1000&cut=9/data/...
With some=N, faults are there for N addresses in a hundred.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
