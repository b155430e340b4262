//! Sources to tables: what `tardis`, `gdelt` and `get` have in common where they make some.

use std::{future::ready, path::PathBuf, sync::Arc};

use futures_util::StreamExt;
use narrows::NotFound;
use narrows_tables::{Form, Schema, Table};

use crate::{
    args::{OnBadRowArg, ReportingArgs, RowArgs, TransferArgs},
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    list::Sources,
    sink::Output,
    tables::{Plan, Room, TableRules},
};

/// Bytes that a transfer of a zip takes, before its length is known.
pub(crate) const ZIP_BYTES: u64 = 7 << 20;

pub(crate) struct TableJob {
    /// Each with its path below the output as its key.
    pub(crate) sources: Sources,
    /// Whether what is left of the list after Ctrl-C is at hand.
    pub(crate) finite: bool,
    /// The list, if it is a file.
    pub(crate) list: Option<PathBuf>,
    pub(crate) directory: PathBuf,
    pub(crate) form: Form,
    /// The tables there may be, and which of them a path is.
    pub(crate) schemas: Vec<Schema>,
    pub(crate) plan: Plan,
    /// The columns that are asked for; none is all.
    pub(crate) columns: Vec<String>,
    /// Bytes that a transfer takes at most.
    pub(crate) transfer_bytes: u64,
    /// A 404 is a file that was never published, unless the user says otherwise.
    pub(crate) may_be_missing: bool,
    /// Where one key is for all sources: what to do if it is refused. The job then ends early.
    pub(crate) one_key: Option<&'static str>,
}

/// Makes the tables that are not there yet.
pub(crate) fn run(
    job: TableJob,
    rows: &RowArgs,
    mut transfers: TransferArgs,
    reporting: &ReportingArgs,
) -> Result<Exit, Usage> {
    let TableJob { sources, finite, list, directory, form, schemas, plan, columns, transfer_bytes, .. } = job;
    let columns = (!columns.is_empty()).then_some(columns);
    for schema in &schemas {
        // Now, rather than at the first file.
        Table::new(schema, columns.as_deref()).map_err(|error| Usage::new(format!("{}: {error}", schema.name)))?;
    }
    let room = Room::of(&transfers, form, &schemas, transfer_bytes);
    transfers.limit.get_or_insert(room.limit());
    let mut options = transfers.options(true).sha256(true);
    if job.may_be_missing && transfers.not_found.is_none() {
        options.not_found = NotFound::Skip;
    }
    let aside = room.aside(options.limit)?;
    let skips = rows.on_bad_row == OnBadRowArg::Skip;
    let rules = Arc::new(TableRules::new(form, plan, columns, skips, rows.rejected.as_deref(), job.one_key)?);
    let (there, within) = (rules.clone(), directory.clone());
    let sources = sources.filter(move |line| ready(!line.as_ref().is_ok_and(|source| there.is_there(&within, source))));
    let client = transfers.client(usize::MAX, &options)?;
    let (output, tables) = (Output::Tables(directory, rules.clone()), Some(rules));
    let job = Job::new(Box::pin(sources), finite, options, client, output, &transfers);
    run_job(Job { list, aside, tables, ..job }, reporting)
}
