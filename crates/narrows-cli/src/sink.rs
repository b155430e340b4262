//! Where the data goes: nowhere, to stdout, into a directory.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use narrows::{Source, report::Hex};

use crate::{
    exit::Usage,
    output::{OutputDirectory, Staged, StagedFile, name_of, unpacked_name},
    tables::{TableRules, TableWriter},
};

/// Where the data is to go.
pub(crate) enum Output {
    Discard,
    Stdout,
    Directory(PathBuf),
    /// As a table for each source.
    Tables(PathBuf, Arc<TableRules>),
}

/// Where the data goes.
pub(crate) enum Sink {
    Discard,
    Stdout,
    Directory(OutputDirectory),
    Tables(OutputDirectory, Arc<TableRules>),
}

impl Output {
    pub(crate) fn open(self) -> Result<Sink, Usage> {
        Ok(match self {
            Self::Discard => Sink::Discard,
            Self::Stdout => Sink::Stdout,
            Self::Directory(path) => Sink::Directory(open(&path)?),
            Self::Tables(path, rules) => Sink::Tables(open(&path)?, rules),
        })
    }
}

fn open(path: &Path) -> Result<OutputDirectory, Usage> {
    OutputDirectory::open(path).map_err(|error| Usage::at(path, &error))
}

impl Sink {
    /// Keeps sources from taking the report's place.
    pub(crate) fn protect(&mut self, report: Option<&Path>) {
        if let Self::Directory(directory) | Self::Tables(directory, _) = self {
            directory.protect(report);
        }
    }

    /// Where temporary files are.
    pub(crate) fn temporary(&self) -> PathBuf {
        match self {
            Self::Directory(directory) | Self::Tables(directory, _) => directory.staging().to_owned(),
            Self::Discard | Self::Stdout => std::env::temp_dir(),
        }
    }

    /// A writer for one source. `unpacks` says that what comes is not the file of that name but
    /// what is in it.
    pub(crate) fn writer(&self, source: &Source, index: u64, unpacks: bool) -> io::Result<Writer<'_>> {
        let target = match self {
            Self::Discard => Target::Discard,
            Self::Stdout => Target::Stdout,
            Self::Directory(directory) => {
                let name = name_of(&source.url);
                let name = if unpacks { unpacked_name(&name).to_owned() } else { name };
                Target::Files { staged: directory.stage(index)?, file: None, name }
            }
            Self::Tables(directory, rules) => {
                let staged = directory.stage(index)?;
                let (path, pages) = (rules.path_of(source)?, directory.staging());
                let table = TableWriter::new(rules, source, staged.create(&path)?, pages)?;
                Target::Table { staged, table: Box::new(table) }
            }
        };
        Ok(Writer { target, lines: 0, open_line: false })
    }
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
        staged: Staged<'a>,
        file: Option<StagedFile>,
        /// The name for what has none of its own.
        name: String,
    },
    Table {
        staged: Staged<'a>,
        table: Box<TableWriter>,
    },
}

impl Writer<'_> {
    pub(crate) fn begin(&mut self, path: Option<&str>) -> io::Result<()> {
        if let Target::Files { staged, file, name } = &mut self.target {
            *file = Some(staged.create(path.unwrap_or(name))?);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Target::Table { table, .. } = &mut self.target {
            return table.write(bytes);
        }
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.open_line = bytes.last().map_or(self.open_line, |last| *last != b'\n');
        match &mut self.target {
            Target::Discard | Target::Table { .. } | Target::Files { file: None, .. } => Ok(()),
            // A reader that is slow must not keep an interrupt from being heard.
            Target::Stdout => tokio::task::block_in_place(|| io::stdout().lock().write_all(bytes)),
            Target::Files { file: Some(file), .. } => file.write_all(bytes),
        }
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.lines += u64::from(std::mem::take(&mut self.open_line));
        match &mut self.target {
            Target::Files { file, .. } => {
                file.take().map_or(Ok(()), |file| tokio::task::block_in_place(|| file.finish()))
            }
            Target::Stdout => io::stdout().lock().flush(),
            Target::Table { table, .. } => {
                table.end_entry()?;
                self.lines = table.rows();
                Ok(())
            }
            Target::Discard => Ok(()),
        }
    }

    /// Makes it durable. Only after that is the source done. `sha256` is that of the source, if known.
    pub(crate) fn commit(self, sha256: Option<[u8; 32]>) -> io::Result<()> {
        match self.target {
            Target::Table { staged, table } => tokio::task::block_in_place(|| {
                table.finish(sha256.map(|digest| Hex(&digest).to_string()))?;
                staged.commit()
            }),
            Target::Files { staged, .. } => tokio::task::block_in_place(|| staged.commit()),
            Target::Discard | Target::Stdout => Ok(()),
        }
    }
}
