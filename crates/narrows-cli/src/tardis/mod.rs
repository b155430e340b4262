//! `narrows tardis`: days of market data as typed tables.

pub(crate) mod args;

use std::{fs, sync::Arc};

use futures_util::stream;
use narrows::Source;
use narrows_jobs::tardis::{DayFile, Request, is_group};
use narrows_tables::{Schema, tardis};

use self::args::TardisArgs;
use crate::{
    exit::{Exit, Usage},
    list,
    table_job::{self, TableJob},
};

/// Bytes that a transfer of gzip takes, about.
const GZIP_BYTES: u64 = 2 << 20;

/// Said where a key is refused. Without one, most days are, and some are free.
const REFUSED: &str = "is the key right, and for these data? It is read from TARDIS_API_KEY or --key-file";

pub(crate) fn run(tardis: TardisArgs) -> Result<Exit, Usage> {
    if tardis.to < tardis.from {
        return Err(Usage::new("--to is before --from".into()));
    }
    let request = request(&tardis)?;
    if tardis.dry_run {
        list::print(request.files().map(|file| file.url));
        return Ok(Exit::Success);
    }
    let key = key(&tardis)?;
    let one_key = key.is_some().then_some(REFUSED);
    let headers: Arc<[_]> = tardis.transfers.header.iter().cloned().chain(key).collect();
    let form = tardis.format;
    let sources = request.files().map(move |file| {
        let path = file.path(form.extension());
        Ok(Source::new(file.url).key(path).headers(headers.clone()))
    });
    let job = TableJob {
        sources: Box::pin(stream::iter(sources)),
        finite: true,
        list: tardis.symbols_file,
        directory: tardis.out,
        form,
        schemas: tardis.types.iter().filter_map(|name| tardis::schema(name)).collect(),
        plan: Box::new(table_of),
        columns: tardis.columns,
        transfer_bytes: GZIP_BYTES,
        may_be_missing: true, // a day without data
        one_key,
    };
    table_job::run(job, &tardis.rows, tardis.transfers, &tardis.reporting)
}

fn request(tardis: &TardisArgs) -> Result<Request, Usage> {
    let mut symbols = tardis.symbol.clone();
    if let Some(path) = &tardis.symbols_file {
        let text = fs::read_to_string(path).map_err(|error| Usage::at(path, &error))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let bad = |error| Usage::new(format!("{}: {error}", path.display()));
            symbols.push(args::part(line).map_err(bad)?);
        }
    }
    if symbols.is_empty() {
        return Err(Usage::new("say which symbols: --symbol, or --symbols-file".into()));
    }
    let TardisArgs { base, exchange, types, from, to, shard, .. } = tardis;
    let (base, exchange, types) = (base.clone(), exchange.clone(), types.clone());
    Ok(Request { base, exchange, types, symbols, from: *from, to: *to, shard: *shard })
}

/// The header with the key, where there is one. It goes to the base's own origin only, and is in no message.
fn key(tardis: &TardisArgs) -> Result<Option<(String, String)>, Usage> {
    let key = match &tardis.key_file {
        Some(path) => Some(fs::read_to_string(path).map_err(|error| Usage::at(path, &error))?),
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
