//! `narrows gdelt`: days of GDELT, from their dates or from a master list.

use std::{path::Path, sync::Arc};

use futures_util::{StreamExt, stream};
use narrows::{Budget, Client, Fetch, NotFound, Outcome, Source, blocking, text::public_url};
use narrows_jobs::{
    calendar::Day,
    gdelt::{self, Content},
    names::{Naming, name_of},
};
use narrows_tables::{Form, gdelt::schema};

use crate::{
    args::{EditionArg, GdeltArgs},
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    list::{self, Line, Sources},
    output::Places,
    place_args::Exists,
    rerun::Rerun,
    sink::Output,
    table_job::{self, TableJob, ZIP_BYTES},
};

impl GdeltArgs {
    fn base(&self) -> &str {
        let base = self.base.as_deref().unwrap_or(match self.edition {
            EditionArg::One => "http://data.gdeltproject.org",
            EditionArg::Two => "http://data.gdeltproject.org/gdeltv2",
        });
        base.trim_end_matches('/')
    }
}

pub(crate) fn run(gdelt: GdeltArgs) -> Result<Exit, Usage> {
    if gdelt.to < gdelt.from {
        return Err(Usage::new("--to is before --from".into()));
    }
    let sources = match gdelt.master.as_deref() {
        None => by_date(&gdelt)?,
        Some(master) if master.starts_with("http://") || master.starts_with("https://") => {
            by_remote_list(&gdelt, master.to_owned())?
        }
        Some(master) => list::from_file(Path::new(master), &gdelt.transfers.header, filter(&gdelt)?)?,
    };
    if let Some(form) = gdelt.format.form() {
        return as_tables(gdelt, form, sources);
    }
    let mut options = gdelt.transfers.options(true);
    options.sha256 = gdelt.reporting.report.is_some();
    if gdelt.master.is_none() && gdelt.transfers.not_found.is_none() {
        options.not_found = NotFound::Skip; // slots that were never published
    }
    let (mut sources, mut rerun) = (sources, None);
    let output = match &gdelt.out {
        Some(directory) => {
            // Slots have names of their own, which are those of their only entries, and files are whole or not there.
            let places = Arc::new(Places::Named(Naming::bare(true)));
            let own = Arc::new(Rerun::new(directory.clone(), places.clone(), Exists::Skip, false, None));
            sources = own.clone().of(sources);
            rerun = Some(own);
            Output::Directory(directory.clone(), places)
        }
        None if gdelt.stdout => Output::Stdout,
        None => Output::Discard,
    };
    let client = gdelt.transfers.client(usize::MAX, &options)?;
    let finite = gdelt.master.as_deref().is_none_or(|master| Path::new(master).is_file());
    let list = gdelt.master.map(Into::into);
    let job = Job::new(sources, finite, options, client, output, &gdelt.transfers);
    run_job(Job { list, rerun, ..job }, &gdelt.reporting)
}

/// Each slot as a table.
fn as_tables(gdelt: GdeltArgs, form: Form, sources: Sources) -> Result<Exit, Usage> {
    let Some(directory) = gdelt.out else {
        return Err(Usage::new("tables need a directory: --out DIR".into()));
    };
    let content = gdelt.content.into();
    let with_path = move |source: Source| {
        let path = format!("{}.{}", gdelt::table_path(content, &name_of(&source.url)), form.extension());
        source.key(path)
    };
    let table_of = move |path: &str| schema(gdelt::table_of(content, path.rsplit('/').next().unwrap_or_default()));
    let names = gdelt::tables(gdelt.edition.into(), content);
    let job = TableJob {
        sources: Box::pin(sources.map(move |line| line.map(with_path))),
        finite: gdelt.master.as_deref().is_none_or(|master| Path::new(master).is_file()),
        directory,
        form,
        schemas: names.iter().filter_map(|name| schema(name)).collect(),
        plan: Box::new(table_of),
        columns: gdelt.columns,
        transfer_bytes: ZIP_BYTES,
        may_be_missing: gdelt.master.is_none(),
        one_key: None,
        list: gdelt.master.map(Into::into),
    };
    table_job::run(job, &gdelt.rows, gdelt.transfers, &gdelt.reporting)
}

fn by_date(gdelt: &GdeltArgs) -> Result<Sources, Usage> {
    let base = gdelt.base().to_owned();
    let headers: Arc<[_]> = gdelt.transfers.header.clone().into();
    let (edition, content) = (gdelt.edition.into(), gdelt.content.into());
    let names = gdelt::files(edition, content, gdelt.translation, gdelt.from, gdelt.to);
    let none = "GDELT 1.0 has no mentions and no translated files, 2.0 no counts: see --edition";
    let names = names.ok_or_else(|| Usage::new(none.into()))?;
    let source = move |name| Ok(Source::new(format!("{base}/{name}")).headers(headers.clone()));
    Ok(Box::pin(stream::iter(names.map(source))))
}

/// Whether a line of a master list is of the days and the table asked for.
fn filter(gdelt: &GdeltArgs) -> Result<impl FnMut(&Line) -> bool + Send + 'static, Usage> {
    let table = match gdelt.edition {
        EditionArg::One => None,
        EditionArg::Two => Content::from(gdelt.content).of_slots(gdelt.translation),
    };
    let table = table.ok_or_else(|| Usage::new("master lists are of GDELT 2.0, which has no counts".into()))?;
    let ending = format!(".{table}.zip");
    let stamp = |day: Day| u64::from(day.year) * 10_000 + u64::from(day.month * 100 + day.day);
    let days = stamp(gdelt.from)..=stamp(gdelt.to);
    Ok(move |line: &Line| {
        let Ok(source) = line else { return true }; // fails, rather than being passed over
        let name = source.url.rsplit('/').next().unwrap_or_default();
        let day = name.strip_suffix(ending.as_str()).filter(|stamp| stamp.len() == 14).and_then(|stamp| stamp.get(..8));
        day.and_then(|day| day.parse().ok()).is_some_and(|day: u64| days.contains(&day))
    })
}

/// Scheme, host and port, as the address has them.
fn origin_of(url: &str) -> &str {
    let authority = url.find("://").map_or(url.len(), |at| at + 3);
    let end = url[authority..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| authority + at);
    &url[..end]
}

/// Downloads the list itself through a window of one, and reads it while it streams.
fn by_remote_list(gdelt: &GdeltArgs, url: String) -> Result<Sources, Usage> {
    let keep = filter(gdelt)?;
    let source = Source::new(url.as_str()).headers(gdelt.transfers.header.clone());
    // Beside the job's budget and its runtime: the list must not wait for the slots, nor they for it.
    // The list says where the slots are: credentials go only where the user has said they belong.
    let own = origin_of(&url).to_owned();
    let base = origin_of(gdelt.base()).to_owned();
    let belongs = move |source: &Source| [own.as_str(), base.as_str()].contains(&origin_of(&source.url));
    // A list that is not there is no empty one, whatever a missing slot is.
    let options = gdelt.transfers.options(false).limit(1).not_found(NotFound::Fail);
    let client = Client::new(gdelt.transfers.client(1, &options)?)?;
    Ok(list::in_background(public_url(&url), &gdelt.transfers.header, belongs, move |send| {
        let needed = options.working_set(client.profile()).total();
        let mut files = blocking::iter([source], client, &Budget::new(needed), options)?;
        let Some(mut file) = files.next() else { return Ok(()) };
        list::read_lines(&mut file, keep, send)?;
        match file.finish().outcome {
            Outcome::Done(_) => Ok(()),
            Outcome::Failed(failure) => Err(failure),
            other => Err(format!("the list ended as {}", other.name()).into()),
        }
    }))
}
