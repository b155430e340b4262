//! `narrows get`.

use std::path::Path;

use futures_util::StreamExt;

use crate::{
    args::GetArgs,
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    list,
    sink::Output,
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
    let output = if get.sink.discard {
        Output::Discard
    } else if get.sink.stdout {
        Output::Stdout
    } else {
        Output::Directory(get.sink.out.unwrap_or_else(|| ".".into()))
    };
    let finite = get.list.as_deref().is_none_or(Path::is_file);
    let transfers = if get.list.is_none() { get.urls.len() } else { usize::MAX };
    let (client, budget) = (get.transfers.client(transfers, &options)?, get.transfers.budget());
    let guard = get.transfers.memory_limit.guard();
    run_job(
        Job { sources, finite, options, guard, client, budget, output, list: get.list, aside: 0, tables: None },
        &get.reporting,
    )
}
