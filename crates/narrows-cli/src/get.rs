//! `narrows get`.

use std::{fs, path::Path};

use futures_util::StreamExt;
use narrows::Source;
use narrows_tables::Schema;

use crate::{
    args::GetArgs,
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    list,
    output::{name_of, unpacked_name},
    sink::Output,
    table_job::{self, TableJob, ZIP_BYTES},
};

pub(crate) fn run(get: GetArgs) -> Result<Exit, Usage> {
    if get.urls.is_empty() && get.list.is_none() {
        return Err(Usage("nothing to do: name URLs, or a list with --list FILE".into()));
    }
    let mut options = get.transfers.options(get.unpack);
    options.sha256 = get.reporting.report.is_some();
    let headers = &get.transfers.header;
    let mut sources = list::from_arguments(&get.urls, headers);
    if let Some(path) = &get.list {
        sources = Box::pin(sources.chain(list::from_file(path, headers, |_| true)?));
    }
    let finite = get.list.as_deref().is_none_or(Path::is_file);
    if let Some(name) = &get.tables.schema {
        let schema = schema(name)?;
        let extension = get.tables.format.extension();
        let keyed = move |source: Source| {
            let name = name_of(&source.url);
            let path = format!("{}.{extension}", table_name(&name));
            source.key(path)
        };
        let job = TableJob {
            sources: Box::pin(sources.map(move |line| line.map(keyed))),
            finite,
            list: get.list,
            directory: get.sink.out.unwrap_or_else(|| ".".into()),
            form: get.tables.format,
            schemas: vec![schema.clone()],
            plan: Box::new(move |_| Some(schema.clone())),
            columns: get.tables.columns,
            transfer_bytes: ZIP_BYTES,
            may_be_missing: false,
            one_key: None,
        };
        return table_job::run(job, &get.tables.rows, get.transfers, &get.reporting);
    }
    if get.tables.rows.rejected.is_some() {
        return Err(Usage("--rejected is for tables: say which with --schema".into()));
    }
    let output = if get.sink.discard {
        Output::Discard
    } else if get.sink.stdout {
        Output::Stdout
    } else {
        Output::Directory(get.sink.out.unwrap_or_else(|| ".".into()))
    };
    let transfers = if get.list.is_none() { get.urls.len() } else { usize::MAX };
    let (client, budget) = (get.transfers.client(transfers, &options)?, get.transfers.budget());
    let guard = get.transfers.memory_limit.guard();
    run_job(
        Job { sources, finite, options, guard, client, budget, output, list: get.list, aside: 0, tables: None },
        &get.reporting,
    )
}

/// A table that is known by this name, or the one that a file of this name describes.
pub(crate) fn schema(name: &str) -> Result<Schema, Usage> {
    if let Some(schema) = narrows_tables::known(name) {
        return Ok(schema);
    }
    let path = Path::new(name);
    let text = fs::read_to_string(path)
        .map_err(|error| Usage(format!("--schema: no table is known by this name, and {name}: {error}")))?;
    text.parse().map_err(|error| Usage::at(path, &error))
}

/// What a table of this file is called: without what says that it is packed, and of rows.
fn table_name(name: &str) -> &str {
    fn without<'a>(name: &'a str, endings: &[&str]) -> &'a str {
        let rest = endings.iter().find_map(|ending| name.strip_suffix(ending));
        rest.filter(|rest| !rest.is_empty()).unwrap_or(name)
    }
    without(without(unpacked_name(name), &[".zip"]), &[".csv", ".CSV", ".tsv", ".txt"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_called_after_their_files() {
        let names = ["a.csv", "a.csv.gz", "a.CSV.zip", "a.zip", ".csv", "a.b", "a"];
        assert_eq!(names.map(table_name), ["a", "a", "a", "a", ".csv", "a.b", "a"]);
    }
}
