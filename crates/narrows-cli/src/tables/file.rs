//! A source's table, written as its blocks come.

use std::{io, path::Path, sync::Arc};

use narrows::{Source, text::public_url};
use narrows_tables::{About, ParquetFile, Piece, Table};

use super::{pages::TempPages, rules::TableRules};
use crate::output::StagedFile;

pub(crate) struct TableFile {
    rules: Arc<TableRules>,
    path: String,
    source: String,
    table: Table,
    file: ParquetFile<StagedFile>,
}

impl TableFile {
    /// A table of `source` that is written to `to`; pages wait in a temporary file in `directory`.
    pub(crate) fn new(rules: &Arc<TableRules>, source: &Source, to: StagedFile, directory: &Path) -> io::Result<Self> {
        let path = rules.path_of(source)?;
        let schema = rules.schema_of(&path)?;
        let table = Table::new(&schema, rules.columns.as_deref()).map_err(io::Error::other)?;
        let pages = Arc::new(TempPages::new(directory)?);
        let file = ParquetFile::new(to, &schema, &table, Some(pages)).map_err(io::Error::other)?;
        Ok(Self { rules: rules.clone(), path, source: public_url(&source.url), table, file })
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.table.rows()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { rules, source, table, file, .. } = self;
        table.push(bytes, &mut |piece| keep(rules, source, file, piece))
    }

    /// Ends the table, whose bytes then are on the disk; how many rows it has.
    pub(crate) fn finish(self, sha256: Option<String>) -> io::Result<u64> {
        let Self { rules, path, source, mut table, mut file } = self;
        table.finish(&mut |piece| keep(&rules, &source, &mut file, piece))?;
        let about = About { source, sha256, rows: table.rows() };
        file.finish(&about).map_err(io::Error::other)?.finish()?;
        rules.kept(&path, about.rows);
        Ok(about.rows)
    }
}

fn keep(rules: &TableRules, source: &str, file: &mut ParquetFile<StagedFile>, piece: Piece<'_>) -> io::Result<()> {
    match piece {
        Piece::Batch(batch) => file.write(&batch).map_err(io::Error::other),
        Piece::Bad(bad, row) => rules.reject(source, &bad, row),
    }
}
