//! Where the data goes: nowhere, to stdout, into a directory.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use narrows::{Block, Source, journal::line_id, report::Hex};
use narrows_jobs::names::Place;

use crate::{
    exit::Usage,
    journal::JournalFile,
    output::{OutputDirectory, Places, Publisher, Staged, StagedFile},
    tables::{TableRules, TableWriter},
};

/// Where the data is to go.
pub(crate) enum Output {
    Discard,
    Stdout,
    Directory(PathBuf, Arc<Places>),
    /// As a table for each source.
    Tables(PathBuf, Arc<TableRules>),
}

/// Where the data goes.
pub(crate) enum Sink {
    Discard,
    Stdout,
    Directory(Publisher, Arc<Places>),
    Tables(Publisher, Arc<TableRules>),
}

impl Output {
    /// Opens it; `kept` is what no source may replace, a journal is told what is about to be named, and so much is
    /// to stay free on its disk.
    pub(crate) fn open(
        self,
        kept: &[PathBuf],
        journal: Option<Arc<JournalFile>>,
        min_free: u64,
    ) -> Result<Sink, Usage> {
        let open = |path: &Path| match OutputDirectory::open(path, kept, min_free) {
            Ok(directory) => Ok(Publisher::new(directory, journal)),
            Err(error) => Err(Usage::at(path, &error)),
        };
        Ok(match self {
            Self::Discard => Sink::Discard,
            Self::Stdout => Sink::Stdout,
            Self::Directory(path, places) => Sink::Directory(open(&path)?, places),
            Self::Tables(path, rules) => Sink::Tables(open(&path)?, rules),
        })
    }
}

impl Sink {
    /// The output directory.
    pub(crate) fn root(&self) -> Option<&Path> {
        match self {
            Self::Directory(publisher, _) | Self::Tables(publisher, _) => Some(publisher.directory().root()),
            Self::Discard | Self::Stdout => None,
        }
    }

    /// Where temporary files are.
    pub(crate) fn temporary(&self) -> PathBuf {
        match self {
            Self::Directory(publisher, _) | Self::Tables(publisher, _) => publisher.directory().staging().to_owned(),
            Self::Discard | Self::Stdout => std::env::temp_dir(),
        }
    }

    /// A writer for the source of this index.
    pub(crate) fn writer(&self, source: &Source, index: u64) -> io::Result<Writer<'_>> {
        let target = match self {
            Self::Discard => Target::Discard,
            Self::Stdout => Target::Stdout,
            Self::Directory(publisher, places) => {
                let place = places.of(source.position.unwrap_or(index), source)?;
                let line = source.position.map(|position| (position, line_id(source)));
                Target::Files { publisher, staged: publisher.stage(index), file: None, place, line }
            }
            Self::Tables(publisher, rules) => {
                let mut staged = publisher.stage(index);
                let pages = publisher.directory().staging();
                let table = TableWriter::new(rules, source, staged.file()?, pages)?;
                Target::Table { publisher, staged, table: Box::new(table) }
            }
        };
        Ok(Writer { target, lines: 0, open_line: false })
    }
}

/// Where a source is.
pub(crate) struct Placed {
    /// Below the output; of several files, their folder with a slash.
    pub(crate) path: String,
    /// For the journal: the place in the list, and what it knows the line by.
    pub(crate) line: Option<(u64, u64)>,
}

/// Takes one source's entries to the sink and counts their lines.
pub(crate) struct Writer<'a> {
    target: Target<'a>,
    /// Line feeds, and the last line of an entry if it has none.
    pub(crate) lines: u64,
    /// Whether the current entry's last byte is not a line feed.
    open_line: bool,
}

enum Target<'a> {
    Discard,
    Stdout,
    Files {
        publisher: &'a Publisher,
        staged: Staged,
        file: Option<StagedFile>,
        place: Place,
        /// For the journal: the place in the list, and what it knows the line by.
        line: Option<(u64, u64)>,
    },
    Table {
        publisher: &'a Publisher,
        staged: Staged,
        table: Box<TableWriter>,
    },
}

impl Writer<'_> {
    /// The next entry of an archive, by its name; or what the source is, if it has none.
    pub(crate) fn begin(&mut self, name: Option<&str>) -> io::Result<()> {
        if let Target::Files { staged, file, .. } = &mut self.target {
            *file = Some(match name {
                Some(name) => staged.entry(name)?,
                None => staged.file()?,
            });
        }
        Ok(())
    }

    /// Not cancel-safe: what goes to stdout may have gone in part.
    pub(crate) async fn write(&mut self, block: Block) -> io::Result<()> {
        if let Target::Table { table, .. } = &mut self.target {
            return table.write(&block);
        }
        self.lines += memchr::memchr_iter(b'\n', &block).count() as u64;
        self.open_line = block.last().map_or(self.open_line, |last| *last != b'\n');
        match &mut self.target {
            Target::Discard | Target::Table { .. } | Target::Files { file: None, .. } => Ok(()),
            Target::Stdout => print(move |stdout| stdout.write_all(&block)).await,
            Target::Files { file: Some(file), .. } => file.write_all(&block),
        }
    }

    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.lines += u64::from(std::mem::take(&mut self.open_line));
        match &mut self.target {
            Target::Files { file, .. } => *file = None,
            Target::Stdout => print(|stdout| stdout.flush()).await?,
            Target::Table { table, .. } => {
                table.end_entry()?;
                self.lines = table.rows();
            }
            Target::Discard => {}
        }
        Ok(())
    }

    /// Makes it durable. Only after that is the source done. `sha256` is that of the source, if known. Gives where
    /// it is, if that is a place.
    pub(crate) async fn commit(self, sha256: Option<[u8; 32]>) -> io::Result<Option<Placed>> {
        match self.target {
            Target::Table { publisher, staged, table } => {
                let path = table.path().to_owned();
                let place = Place { folder: path.clone(), path, alone: None };
                tokio::task::block_in_place(|| table.finish(sha256.map(|digest| Hex(&digest).to_string())))?;
                let path = publisher.publish(staged, place, None).await?;
                Ok(Some(Placed { path, line: None }))
            }
            Target::Files { publisher, staged, place, line, .. } => {
                let path = publisher.publish(staged, place, line).await?;
                Ok(Some(Placed { path, line }))
            }
            Target::Discard | Target::Stdout => Ok(None),
        }
    }

    /// What came is not all. A row that broke off on stdout must not go on with the next source's first.
    pub(crate) async fn give_up(self) {
        if matches!(self.target, Target::Stdout) && self.open_line {
            let _ = print(|stdout| stdout.write_all(b"\n")).await;
        }
    }
}

/// Uses stdout on a thread of its own: a reader that is slow, or stands still for ever, must not keep anybody
/// from hearing that the job is to end.
async fn print(work: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let printed = tokio::task::spawn_blocking(move || work(&mut io::stdout().lock())).await;
    printed.unwrap_or_else(|error| Err(io::Error::other(error)))
}
