//! A source's table, written as its blocks come.

use std::{io, path::Path, sync::Arc};

use narrows::{Source, text::public_url};
use narrows_tables::{Piece, Table, TableFile};

use super::{pages::TempPages, rules::TableRules};
use crate::output::StagedFile;

/// A table and its file.
pub(crate) struct TableWriter {
    rules: Arc<TableRules>,
    path: String,
    source: String,
    table: Table,
    file: TableFile<StagedFile>,
    entries: u32,
}

impl TableWriter {
    /// A table of `source` that is written to `to`; pages wait in a temporary file in `directory`.
    pub(crate) fn new(rules: &Arc<TableRules>, source: &Source, to: StagedFile, directory: &Path) -> io::Result<Self> {
        let (path, url) = (rules.path_of(source)?, public_url(&source.url));
        let schema = rules.schema_of(&path)?;
        let table = Table::new(&schema, rules.columns.as_deref()).map_err(io::Error::other)?;
        let pages = Arc::new(TempPages::new(directory)?);
        let file = TableFile::new(rules.form, to, &schema, &table, Some(pages), &url).map_err(io::Error::other)?;
        Ok(Self { rules: rules.clone(), path, source: url, table, file, entries: 0 })
    }

    /// Where it goes, below the output.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.table.rows()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { rules, source, table, file, .. } = self;
        table.push(bytes, &mut |piece| keep(rules, source, file, piece))
    }

    /// An entry has ended: its last row is one, with or without a line feed.
    pub(crate) fn end_entry(&mut self) -> io::Result<()> {
        let Self { rules, source, table, file, entries, .. } = self;
        *entries += 1;
        table.finish(&mut |piece| keep(rules, source, file, piece))
    }

    /// Ends the table.
    pub(crate) fn finish(mut self, sha256: Option<String>) -> io::Result<()> {
        if self.entries == 0 {
            self.end_entry()?; // nothing has come, not even a header
        }
        let Self { rules, path, table, file, .. } = self;
        file.finish(table.rows(), sha256).map_err(io::Error::other)?;
        rules.kept(&path, table.rows());
        Ok(())
    }
}

fn keep(rules: &TableRules, source: &str, file: &mut TableFile<StagedFile>, piece: Piece<'_>) -> io::Result<()> {
    match piece {
        Piece::Batch(batch) => file.write(&batch).map_err(io::Error::other),
        Piece::Bad(bad, row) => rules.reject(source, &bad, row),
    }
}
