//! Batches to a stream of Arrow's own form (IPC, `arrow.apache.org/docs/format/Columnar.html`), which other
//! programs take without reading it again: pyarrow, polars, DuckDB, apache-arrow.

use std::{
    fmt,
    io::{Read, Seek, SeekFrom, Write},
};

use arrow_array::RecordBatch;
use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use arrow_schema::ArrowError;

use crate::{schema::Schema, table::Table};

/// What stands at the end of a whole stream: a continuation without a message.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A stream in the making. Its memory: the batch that is being written, once more.
pub(crate) struct ArrowStream<W: Write>(StreamWriter<W>);

impl<W: Write> ArrowStream<W> {
    /// A stream of the table's columns, written to `to`. Its schema says which table it is, and of which
    /// source.
    pub(crate) fn new(to: W, schema: &Schema, table: &Table, source: &str) -> Result<Self, ArrowError> {
        let columns = table.columns_as_text();
        let about = [("narrows.schema", &*schema.name), ("narrows.columns", &*columns), ("narrows.source", source)];
        // Written in the order of the keys.
        let about = about.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let schema = arrow_schema::Schema::clone(&table.arrow_schema()).with_metadata(about);
        Ok(Self(StreamWriter::try_new(to, &schema)?))
    }

    /// Writes a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.0.write(batch)
    }

    /// What it is written to.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        self.0.get_mut()
    }

    /// Ends the stream, and gives back what it was written to.
    pub(crate) fn finish(self) -> Result<W, ArrowError> {
        self.0.into_inner()
    }
}

impl<W: Write> fmt::Debug for ArrowStream<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowStream").finish_non_exhaustive()
    }
}

/// See [`Form::is_table_of`](crate::Form::is_table_of).
pub(crate) fn is_stream_of(
    mut file: impl Read + Seek,
    schema: &Schema,
    asked: Option<&[String]>,
    source: &str,
) -> bool {
    let mut end = [0; END.len()];
    let is_whole = file.seek(SeekFrom::End(-(END.len() as i64))).is_ok() && file.read_exact(&mut end).is_ok();
    if !is_whole || end != END || file.rewind().is_err() {
        return false;
    }
    let Ok(reader) = StreamReader::try_new(file, None) else { return false };
    let found = reader.schema();
    let says = |key: &str, value: &str| found.metadata().get(key).is_some_and(|said| said == value);
    let columns = schema.columns_as_text(asked);
    says("narrows.schema", &schema.name) && says("narrows.columns", &columns) && says("narrows.source", source)
}
