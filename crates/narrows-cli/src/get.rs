//! `narrows get`.

use std::{
    fs,
    io::{self, Write},
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use narrows::{Source, source::BadLine, text::printable};
use narrows_jobs::{
    calendar::Day,
    names::{Layout, Naming, SharedPlaces, glob},
};
use narrows_tables::Schema;
use sha2::{Digest, Sha256};

use crate::{
    args::GetArgs,
    checksums::Checksums,
    exit::{Exit, Usage},
    job::{Job, run as run_job},
    list,
    output::Places,
    place_args::PlaceArgs,
    progress,
    rerun::{JournalPlan, Rerun},
    sink::Output,
    table_job::{self, TableJob, ZIP_BYTES},
    terminal::tell,
};

pub(crate) fn run(mut get: GetArgs) -> Result<Exit, Usage> {
    if get.glob {
        get.urls = expand(&get.urls)?;
    }
    let checksums = Arc::new(get.checksums.as_deref().map_or(Ok(Checksums::default()), Checksums::read)?);
    if get.urls.is_empty() && get.list.is_none() {
        return Err(Usage::new("nothing to do: name URLs, or a list with --list FILE".into()));
    }
    let mut options = get.transfers.options(get.unpack);
    options.sha256 = get.reporting.report.is_some();
    let headers = &get.transfers.header;
    let mut sources = list::from_arguments(&get.urls, headers);
    if let Some(path) = &get.list {
        sources = Box::pin(sources.chain(list::from_file(path, headers, |_| true)?));
    }
    let finite = get.list.as_deref().is_none_or(Path::is_file);
    let unpacks = get.unpack || get.tables.schema.is_some();
    sources = Box::pin(sources.map({
        let checksums = checksums.clone();
        move |line| line.map(|source| checksums.expect_or_tell(source))
    }));
    let (output, places) = output(&get, unpacks)?;
    let is_shown = progress::is_shown(get.reporting.progress());
    let total = if is_shown { total(&get, places.as_deref()) } else { None };
    let mut rerun = None;
    if let (Some(places), Output::Directory(directory, _)) = (&places, &output) {
        sources = numbered(sources, places.clone(), shared_places(&get, places));
        if get.tables.schema.is_none() {
            let plan = journal_plan(&get, checksums)?;
            let own = Rerun::new(directory.clone(), places.clone(), get.places.exists, get.unpack, plan);
            let own = Arc::new(own);
            rerun = Some(own.clone());
            sources = own.of(sources);
        }
    }
    if let (Some(name), Output::Directory(directory, places)) = (&get.tables.schema, &output) {
        let (schema, places) = (schema(name)?, places.clone());
        let extension = get.tables.format.extension();
        let keyed = move |source: Source| {
            let place = places.of(source.position.unwrap_or_default(), &source);
            let path = place.map(|place| format!("{}.{extension}", table_name(&place.path)));
            // Without a path it fails when it is written.
            if let Ok(path) = path { source.key(path) } else { source }
        };
        let job = TableJob {
            sources: Box::pin(sources.map(move |line| line.map(&keyed))),
            finite,
            list: get.list,
            directory: directory.clone(),
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
    if get.dry_run {
        return dry_run(sources, &output, rerun.as_deref());
    }
    if get.tables.rows.rejected.is_some() {
        return Err(Usage::new("--rejected is for tables: say which with --schema".into()));
    }
    let transfers = if get.list.is_none() { get.urls.len() } else { usize::MAX };
    let client = get.transfers.client(transfers, &options)?;
    let job = Job::new(sources, finite, options, client, output, &get.transfers);
    run_job(Job { list: get.list, total, rerun, ..job }, &get.reporting)
}

/// How many sources there are, for progress; a list that can be read once only is not counted.
fn total(get: &GetArgs, places: Option<&Places>) -> Option<u64> {
    match &get.list {
        None => Some(get.urls.len() as u64),
        Some(list) if !list.is_file() => None,
        Some(_) => places.and_then(Places::count).or_else(|| {
            let mut count = 0;
            each_source(get)(&mut |_| count += 1);
            Some(count)
        }),
    }
}

/// Where the data goes, and into a directory by which names.
fn output(get: &GetArgs, unpacks: bool) -> Result<(Output, Option<Arc<Places>>), Usage> {
    if get.sink.discard {
        return Ok((Output::Discard, None));
    }
    let (directory, places) = match &get.sink.output {
        Some(path) if path == Path::new("-") => return Ok((Output::Stdout, None)),
        Some(path) => one_file(get, path)?,
        None if get.sink.stdout => return Ok((Output::Stdout, None)),
        None => (get.sink.out.clone().unwrap_or_else(|| ".".into()), places(get, unpacks)?),
    };
    let places = Arc::new(places);
    Ok((Output::Directory(directory, places.clone()), Some(places)))
}

fn one_file(get: &GetArgs, path: &Path) -> Result<(PathBuf, Places), Usage> {
    if get.list.is_some() || get.urls.len() != 1 {
        return Err(Usage::new("-o is for one URL: name a directory with --out DIR for several".into()));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.filter(|_| !path.is_dir());
    let name =
        name.ok_or_else(|| Usage::new(format!("-o {}: no name of a file; --out takes a directory", path.display())))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((directory.into(), Places::One(name.into())))
}

/// Decides what files are called.
fn places(get: &GetArgs, unpacks: bool) -> Result<Places, Usage> {
    let PlaceArgs { layout, mirror, .. } = &get.places;
    if let Some(layout) = layout.clone().or_else(|| mirror.then(Layout::mirror)) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let today = Day::after_1970((now.as_secs() / 86_400) as u32);
        return Ok(Places::Layout { layout, today, unpacks });
    }
    Ok(match get.list.as_deref() {
        Some(list) if !list.is_file() => Places::Streamed(Mutex::new(Naming::streamed(unpacks))),
        _ => Places::Named(Naming::of(each_source(get), unpacks)),
    })
}

/// Reads the list; it can be read more than once.
fn each_source(get: &GetArgs) -> impl Fn(&mut dyn FnMut(&Source)) + Send + Sync + 'static {
    let (urls, list) = (get.urls.clone(), get.list.clone());
    move |each| {
        urls.iter().for_each(|url| each(&Source::new(url.as_str())));
        if let Some(list) = &list {
            list::for_each_source(list, each);
        }
    }
}

/// Where the journal is, if one is kept.
fn journal_plan(get: &GetArgs, checksums: Arc<Checksums>) -> Result<Option<JournalPlan>, Usage> {
    let PlaceArgs { layout, mirror, journal, no_journal, .. } = &get.places;
    let wants = !no_journal && (journal.is_some() || get.sink.out.is_some());
    if !wants || get.list.as_deref().is_some_and(|list| !list.is_file()) {
        return match journal {
            Some(path) => Err(Usage::new(format!("--journal {}: the list cannot be read twice", path.display()))),
            None => Ok(None),
        };
    }
    // What is made of a source, and by which name: another answer makes another job.
    let mut hash = Sha256::new();
    hash.update([u8::from(get.unpack), u8::from(*mirror)]);
    hash.update(layout.as_ref().map_or(String::new(), |layout| format!("{layout:?}")));
    let out = get.sink.out.as_deref().unwrap_or(Path::new("."));
    hash.update(path::absolute(out)?.as_os_str().as_encoded_bytes());
    let number = |digest: &[u8]| digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let job = number(&hash.clone().finalize());
    let path = match (journal, &get.sink.out) {
        (None, Some(out)) => {
            // Another list into the same directory has a journal of its own.
            get.urls.iter().for_each(|url| hash.update(format!("{url}\n")));
            if let Some(list) = &get.list {
                hash.update(list.canonicalize().unwrap_or_else(|_| list.clone()).as_os_str().as_encoded_bytes());
            }
            out.join(format!(".narrows-journal-{:016x}", number(&hash.finalize())))
        }
        (path, _) => path.clone().unwrap_or_default(),
    };
    let each = each_source(get);
    let each_source = Box::new(move |line: &mut dyn FnMut(&Source)| {
        each(&mut |source| line(&checksums.expect(source.clone())));
    });
    Ok(Some(JournalPlan { path, job, each_source }))
}

/// Addresses that may stand for many; more of them than a list should have are none.
fn expand(patterns: &[String]) -> Result<Vec<String>, Usage> {
    const MOST: usize = 1_000_000;
    let mut urls = Vec::new();
    for pattern in patterns {
        urls.extend(glob(pattern).map_err(|error| Usage::new(format!("--glob: {error}")))?.take(MOST + 1));
    }
    match urls.len() > MOST {
        true => Err(Usage::new(format!("--glob: these are more than {MOST} addresses; write a list"))),
        false => Ok(urls),
    }
}

/// Says what would be fetched, and where it would go.
fn dry_run(sources: list::Sources, output: &Output, rerun: Option<&Rerun>) -> Result<Exit, Usage> {
    if let Some(rerun) = rerun {
        rerun.look_at_journal()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut stdout = io::stdout().lock();
    let (mut sources, mut count) = (sources, 0_u64);
    while let Some(line) = runtime.block_on(sources.next()) {
        count += 1;
        let text = match line {
            Err(bad) => format!("{}: {bad}", bad.line()),
            Ok(source) => match output {
                Output::Directory(directory, places) => match places.of(source.position.unwrap_or_default(), &source) {
                    Ok(place) => format!("{} -> {}", source.public_url(), directory.join(place.path).display()),
                    Err(error) => format!("{}: {error}", source.public_url()),
                },
                _ => source.public_url(),
            },
        };
        if writeln!(stdout, "{}", printable(&text)).is_err() {
            return Ok(Exit::Success); // whoever read it has gone
        }
    }
    let already = rerun.map_or(0, Rerun::already);
    tell(format_args!("narrows: --dry-run: {count} would be fetched, {already} are done"));
    Ok(Exit::Success)
}

/// Places that the user's names or layout give to several sources.
fn shared_places(get: &GetArgs, places: &Places) -> SharedPlaces {
    // Those we give are different; a list that is read once is not compared.
    let is_named = match places {
        Places::Layout { .. } => get.list.as_deref().is_none_or(Path::is_file),
        Places::Named(naming) => naming.has_names(),
        Places::Streamed(_) | Places::One(_) => false,
    };
    if !is_named {
        return SharedPlaces::default();
    }
    let each = each_source(get);
    SharedPlaces::of(|path| {
        let mut position = 0;
        each(&mut |source| {
            if let Ok(place) = places.of(position, source) {
                path(&place.path);
            }
            position += 1;
        });
    })
}

/// Sources with their place in the list. Those that would have another's place are refused.
fn numbered(sources: list::Sources, places: Arc<Places>, shared: SharedPlaces) -> list::Sources {
    Box::pin(sources.enumerate().map(move |(position, line)| {
        let position = position as u64;
        match line {
            Ok(source) => {
                places.note(position, &source);
                if shared.is_empty() {
                    return Ok(source.position(position));
                }
                match places.of(position, &source) {
                    Ok(place) if shared.has(&place.path) => {
                        Err(BadLine::new(&source.url, "another source of the list has the same place").at(position))
                    }
                    _ => Ok(source.position(position)),
                }
            }
            Err(bad) => Err(bad.at(position)),
        }
    }))
}

/// A table that is known by this name, or the one that a file of this name describes.
pub(crate) fn schema(name: &str) -> Result<Schema, Usage> {
    if let Some(schema) = narrows_tables::known(name) {
        return Ok(schema);
    }
    let path = Path::new(name);
    let text = fs::read_to_string(path)
        .map_err(|error| Usage::new(format!("--schema: no table is known by this name, and {name}: {error}")))?;
    text.parse().map_err(|error| Usage::at(path, &error))
}

/// What a table of this file is called: without what says that it is of rows.
fn table_name(path: &str) -> &str {
    // No other ending: of `a.csv` and `a.txt` two tables are made.
    let rest = [".csv", ".CSV"].iter().find_map(|ending| path.strip_suffix(ending));
    rest.filter(|rest| !rest.is_empty() && !rest.ends_with('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_called_after_their_files() {
        let names = ["a.csv", "d/a.CSV", ".csv", "d/.csv", "a.b", "a"];
        assert_eq!(names.map(table_name), ["a", "d/a", ".csv", "d/.csv", "a.b", "a"]);
    }
}
