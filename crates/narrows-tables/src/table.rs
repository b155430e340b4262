//! A table in the making: blocks in, batches of typed columns out.

use std::{fmt, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{
    column::{Builder, Plain},
    error::{BadRow, SchemaError},
    schema::{Column, Header, Schema, Separator, columns_as_text},
    splitter::{Fields, ROW_BYTES_MAX, Rows, Split, Splitter},
};

/// Bytes of a batch, about.
pub(crate) const BATCH_BYTES: usize = 1 << 17;
/// Rows of a batch: at least, and at most.
const BATCH_ROWS: (usize, usize) = (256, 8192);

/// What comes of a block.
///
/// No example: that of the crate takes some.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Rows, column by column.
    Batch(RecordBatch),
    /// A row that does not fit, with its fields. Whether that is passed over is for the caller to say.
    Bad(BadRow, &'a [u8]),
}

/// Makes batches of blocks of text. Its memory: a batch of about a megabyte, and the longest row.
///
/// No example: that of the crate makes one.
pub struct Table {
    /// Away only while it gives rows to the rest of the table.
    splitter: Option<Splitter>,
    separator: Separator,
    header: Header,
    columns: Vec<Column>,
    /// The columns that are asked for, by place, in the table's order.
    wanted: Vec<usize>,
    /// Of each column.
    is_wanted: Vec<bool>,
    builders: Vec<Builder>,
    arrow: SchemaRef,
    row: u64,
    rows: u64,
    /// Of the batch in the making.
    batch_rows: usize,
    /// Bytes of its rows as they came.
    batch_bytes: usize,
    batch_rows_max: usize,
}

impl Table {
    /// A table at the beginning of a file, with those of its columns that are asked for, or all.
    ///
    /// # Errors
    ///
    /// [`SchemaError`].
    pub fn new(schema: &Schema, asked: Option<&[String]>) -> Result<Self, SchemaError> {
        let columns = schema.columns.clone();
        if let Some(at) = (1..columns.len()).find(|at| columns[..*at].iter().any(|one| one.name == columns[*at].name)) {
            return Err(SchemaError::Twice(columns[at].name.clone()));
        }
        let place = |name: &String| columns.iter().position(|column| *column.name == **name);
        let mut wanted = match asked {
            None => (0..columns.len()).collect(),
            Some(names) => names
                .iter()
                .map(|name| place(name).ok_or_else(|| SchemaError::NoSuchColumn(name.clone())))
                .collect::<Result<Vec<_>, _>>()?,
        };
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Err(SchemaError::Empty);
        }
        let builders = wanted.iter().map(|at| Builder::new(columns[*at].clone())).collect();
        let fields: Vec<_> = wanted.iter().map(|at| columns[*at].field()).collect();
        let width: usize = wanted.iter().map(|at| columns[*at].kind.width()).sum();
        Ok(Self {
            splitter: Some(Splitter::new(schema.separator, columns.len())),
            separator: schema.separator,
            header: schema.header,
            arrow: Arc::new(arrow_schema::Schema::new(fields)),
            batch_rows_max: (BATCH_BYTES / width.max(1)).clamp(BATCH_ROWS.0, BATCH_ROWS.1),
            is_wanted: (0..columns.len()).map(|at| wanted.contains(&at)).collect(),
            columns,
            wanted,
            builders,
            row: 0,
            rows: 0,
            batch_rows: 0,
            batch_bytes: 0,
        })
    }

    /// The schema of its batches.
    pub fn arrow_schema(&self) -> SchemaRef {
        self.arrow.clone()
    }

    /// What a file says of its columns.
    pub(crate) fn columns_as_text(&self) -> String {
        columns_as_text(self.wanted.iter().map(|at| &self.columns[*at]))
    }

    /// Rows that fitted, so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a block.
    ///
    /// # Errors
    ///
    /// Those of `take`, after which the table is of no further use.
    pub fn push<E>(&mut self, block: &[u8], take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        self.read(Some(block), take)
    }

    /// The file has ended: gives the last batch. The table then goes on with another file of its kind, whose
    /// rows and header are its own.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn finish<E>(&mut self, take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        self.read(None, take)?;
        let read = std::mem::take(&mut self.row);
        if self.header == Header::Required && read == 0 {
            take(Piece::Bad(BadRow::new(1, None, b"", "there is no header"), b""))?;
        }
        if self.batch_rows > 0 { take(Piece::Batch(self.batch())) } else { Ok(()) }
    }

    fn read<E>(&mut self, block: Option<&[u8]>, take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(mut splitter) = self.splitter.take() else { return Ok(()) };
        let mut rows = TableRows { table: self, take };
        let read = match block {
            Some(block) => splitter.split(block, &mut rows),
            None => splitter.finish(&mut rows),
        };
        self.splitter = Some(splitter);
        read
    }

    /// Puts in the row at the beginning of some bytes, field by field as they are read, and gives its length
    /// with the line feed. `None`, and nothing is put in, if it is not plain, not all there, or does not fit.
    fn plain(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.row == 0 && self.header != Header::None {
            return None;
        }
        let has_quotes = self.separator == Separator::Comma;
        let separator = if has_quotes { b',' } else { b'\t' };
        let between = Plain { end: separator, between: separator, has_quotes };
        let at_end = Plain { end: b'\n', ..between };
        let last = self.columns.len() - 1;
        let (mut at, mut put, mut builders) = (0, 0, self.builders.iter_mut());
        for (column, is_wanted) in self.is_wanted.iter().enumerate() {
            let plain = if column == last { at_end } else { between };
            let length = match is_wanted {
                true => builders.next().and_then(|builder| builder.push_plain(&bytes[at..], plain)),
                false => plain.length(&bytes[at..]).map(|(length, _)| length),
            };
            let Some(length) = length else {
                self.builders[..put].iter_mut().for_each(Builder::pop);
                return None;
            };
            put += usize::from(*is_wanted);
            at += length + 1;
        }
        // A blank line is no row, and one that is too long is none wherever it is cut.
        (at > 1 && at <= ROW_BYTES_MAX).then_some(at).or_else(|| {
            self.builders.iter_mut().for_each(Builder::pop);
            None
        })
    }

    fn fields<E>(&mut self, fields: &Fields<'_>, take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.row == 1 && self.header != Header::None {
            let names = self.columns.iter().map(|column| column.name.as_bytes());
            let found = (0..fields.len()).map(|at| fields.get(at));
            match (names.eq(found), self.header) {
                (true, _) => return Ok(()),
                (false, Header::Required) => {
                    let expected: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
                    let problem = format!("not the header {}", expected.join(","));
                    return take(Piece::Bad(BadRow::new(1, None, fields.bytes(), problem), fields.bytes()));
                }
                _ => {}
            }
        }
        if fields.len() != self.columns.len() {
            let problem = format!("{} columns, {} are expected", fields.len(), self.columns.len());
            return take(Piece::Bad(BadRow::new(self.row, None, fields.bytes(), problem), fields.bytes()));
        }
        for (place, at) in self.wanted.iter().enumerate() {
            let field = fields.get(*at);
            if let Err(problem) = self.builders[place].push(field) {
                self.builders[..place].iter_mut().for_each(Builder::pop);
                let bad = BadRow::new(self.row, Some(&self.columns[*at].name), field, problem);
                return take(Piece::Bad(bad, fields.bytes()));
            }
        }
        self.kept(fields.bytes().len(), take)
    }

    /// A row of so many bytes was put in.
    fn kept<E>(&mut self, bytes: usize, take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        self.rows += 1;
        self.batch_rows += 1;
        self.batch_bytes += bytes;
        let is_long = self.batch_rows >= self.batch_rows_max || self.batch_bytes >= BATCH_BYTES;
        // Now and then, for it takes a look at each column.
        let is_various = self.batch_rows.is_multiple_of(64) && self.builders.iter().any(Builder::is_full);
        if is_long || is_various {
            let batch = self.batch();
            take(Piece::Batch(batch))?;
        }
        Ok(())
    }

    fn batch(&mut self) -> RecordBatch {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        (self.batch_rows, self.batch_bytes) = (0, 0);
        // Each row was put into all of the schema's columns, as values of their kinds.
        RecordBatch::try_new(self.arrow.clone(), columns).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A table that takes rows, and whoever takes its batches.
struct TableRows<'a, T> {
    table: &'a mut Table,
    take: &'a mut T,
}

impl<E, T: FnMut(Piece<'_>) -> Result<(), E>> Rows for TableRows<'_, T> {
    type Error = E;

    fn plain(&mut self, bytes: &[u8]) -> Result<Option<usize>, E> {
        let Some(length) = self.table.plain(bytes) else { return Ok(None) };
        self.table.row += 1;
        self.table.kept(length, self.take)?;
        Ok(Some(length))
    }

    fn row(&mut self, row: Split<'_>) -> Result<(), E> {
        self.table.row += 1;
        match row {
            Split::Row(fields) => self.table.fields(&fields, self.take),
            Split::TooLong(bytes) => {
                let problem = "longer than a row may be, or of more columns than there are";
                (self.take)(Piece::Bad(BadRow::new(self.table.row, None, bytes, problem), bytes))
            }
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("columns", &self.arrow.fields().len())
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
