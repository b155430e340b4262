//! `narrows tardis`: days of market data as Parquet.

pub(crate) mod args;

use std::{fs, sync::Arc};

use futures_util::stream;
use narrows::{NotFound, Source, text::public_url};
use narrows_jobs::tardis::{DayFile, Request, is_group};
use narrows_tables::{Schema, Table, tardis};

use self::args::TardisArgs;
use crate::{
    args::OnBadRowArg,
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    sink::Output,
    tables::{Plan, Room, TableRules},
};

/// Bytes that a transfer of gzip takes, about.
const GZIP_BYTES: u64 = 2 << 20;

pub(crate) fn run(mut tardis: TardisArgs) -> Result<Exit, Usage> {
    if tardis.to < tardis.from {
        return Err(Usage("--to is before --from".into()));
    }
    let request = request(&tardis)?;
    if tardis.dry_run {
        use std::io::Write;
        let mut stdout = std::io::stdout().lock();
        let _ = request.files().try_for_each(|file| writeln!(stdout, "{}", file.url));
        return Ok(Exit::Success);
    }
    let columns = (!tardis.columns.is_empty()).then(|| tardis.columns.clone());
    for schema in tardis.types.iter().filter_map(|name| tardis::schema(name)) {
        // Now, rather than at the first file.
        Table::new(&schema, columns.as_deref()).map_err(|error| Usage(format!("{}: {error}", schema.name)))?;
    }
    let schemas: Vec<Schema> = tardis.types.iter().filter_map(|name| tardis::schema(name)).collect();
    let room = Room::of(&tardis.transfers, schemas.iter(), GZIP_BYTES);
    tardis.transfers.limit.get_or_insert(room.limit());
    let skips = tardis.rows.on_bad_row == OnBadRowArg::Skip;
    let plan: Plan = Box::new(table_of);
    let rules = Arc::new(TableRules::new(plan, columns, skips, tardis.rows.rejected.as_deref())?);
    let mut options = tardis.transfers.options(true).sha256(true);
    if tardis.transfers.not_found.is_none() {
        options.not_found = NotFound::Skip; // no data on that day
    }
    let headers: Arc<[_]> = tardis.transfers.header.iter().cloned().chain(key(&tardis)?).collect();
    let (there, directory) = (rules.clone(), tardis.out.clone());
    let sources = request.files().filter_map(move |file| {
        let path = file.path();
        let missing = !there.is_there(&directory, &path, &public_url(&file.url));
        missing.then(|| Ok(Source::new(file.url.as_str()).key(path).headers(headers.clone())))
    });
    let (client, budget) = (tardis.transfers.client(usize::MAX, &options)?, tardis.transfers.budget());
    let aside = room.aside(options.limit)?;
    let guard = tardis.transfers.memory_limit.guard();
    let output = Output::Tables(tardis.out.clone(), rules.clone());
    let sources = Box::pin(stream::iter(sources));
    let job = Job {
        sources,
        finite: true,
        options,
        guard,
        client,
        budget,
        output,
        list: tardis.symbols_file,
        aside,
        tables: Some(rules),
    };
    run_job(job, &tardis.reporting)
}

fn request(tardis: &TardisArgs) -> Result<Request, Usage> {
    let mut symbols = tardis.symbol.clone();
    if let Some(path) = &tardis.symbols_file {
        let text = fs::read_to_string(path).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            symbols.push(args::part(line).map_err(|error| Usage(format!("{}: {error}", path.display())))?);
        }
    }
    if symbols.is_empty() {
        return Err(Usage("say which symbols: --symbol, or --symbols-file".into()));
    }
    let TardisArgs { base, exchange, types, from, to, shard, .. } = tardis;
    let (base, exchange, types) = (base.clone(), exchange.clone(), types.clone());
    Ok(Request { base, exchange, types, symbols, from: *from, to: *to, shard: *shard })
}

/// The header with the key, where there is one. It goes to the base's own origin only, and is in no message.
fn key(tardis: &TardisArgs) -> Result<Option<(String, String)>, Usage> {
    let key = match &tardis.key_file {
        Some(path) => Some(fs::read_to_string(path).map_err(|error| Usage(format!("{}: {error}", path.display())))?),
        None => std::env::var("TARDIS_API_KEY").ok(),
    };
    let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    Ok(key.map(|key| ("Authorization".to_owned(), format!("Bearer {key}"))))
}

/// The table of a path: with the exchange and, unless it stands for a group, the symbol that it must have.
fn table_of(path: &str) -> Option<Schema> {
    let file = DayFile::of_path(path)?;
    let schema = tardis::schema(&file.data_type)?.expecting("exchange", file.exchange);
    // Symbols with characters that addresses have not are written otherwise in the rows.
    let is_own = !is_group(&file.symbol) && !file.symbol.contains('-');
    Some(if is_own { schema.expecting("symbol", file.symbol) } else { schema })
}
