//! Batches to a Parquet file, in memory that does not know how long it is.
//!
//! Two things fill a writer's memory: dictionaries of columns that have no few values, and the pages of a
//! row group, which are kept until it ends. So each column gets the encoding that fits what it holds, with a
//! dictionary only where the schema says so, and pages go to a store of the caller's, such as a
//! temporary file. 20 writers of trades then take 30 MiB where the defaults take 263.

use std::{fmt, io::Write, sync::Arc};

use arrow_array::RecordBatch;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowWriterOptions, PageStoreFactory},
    },
    basic::{Compression, Encoding},
    errors::Result,
    file::{
        metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader},
        properties::{EnabledStatistics, WriterProperties},
        reader::ChunkReader,
    },
    schema::types::ColumnPath,
};

use crate::{
    schema::{Kind, Schema},
    table::Table,
};

/// Bytes of a row group, before compression: with pages in a store, and in memory.
const ROW_GROUP_BYTES: usize = 128 << 20;
const ROW_GROUP_BYTES_IN_MEMORY: usize = 16 << 20;
/// Bytes of a page: at least, and at most. A column holds two in the making.
const PAGE_BYTES: (usize, usize) = (16 << 10, 64 << 10);
/// Rows of a page: those of few values take 8 bytes each until it is written.
const PAGE_ROWS: usize = 8192;
/// Bytes of all columns' pages, about.
const PAGES_BYTES: usize = 2 << 20;

/// Bytes that an encoder of packed differences sets aside, whatever it holds.
const DELTA_BYTES: usize = 1 << 20;
/// Columns of a wide table, and more.
const WIDE: usize = 16;

/// What a file says of where it came from.
///
/// ```
/// let about = narrows_tables::About { source: "https://h/a.csv.gz".into(), sha256: None, rows: 3 };
/// assert_eq!(about.rows, 3);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// The address it was made of, without secrets.
    pub source: String,
    /// SHA-256 of what came from there, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// See [`Form::writer_bytes_max`](crate::Form::writer_bytes_max).
pub(crate) fn writer_bytes_max(schema: &Schema) -> u64 {
    let columns = schema.columns.len();
    let each = 3 * page_bytes(columns) + (16 << 10);
    let delta: usize = schema.columns.iter().map(|column| delta_encoders(schema, column.kind)).sum();
    (columns * each * 5 / 4 + delta * DELTA_BYTES + (1 << 20)) as u64
}

/// Encoders of packed differences that a column takes. A wide table has none but for its times: they would
/// be most of its memory.
fn delta_encoders(schema: &Schema, kind: Kind) -> usize {
    let is_wide = schema.columns.len() > WIDE;
    match kind {
        Kind::TimestampMs | Kind::TimestampUs | Kind::Timestamp => 1,
        Kind::Int64 if !is_wide => 1,
        Kind::Utf8 if !is_wide => 2, // of prefixes, and of lengths
        _ => 0,
    }
}

fn page_bytes(columns: usize) -> usize {
    (PAGES_BYTES / columns.max(1)).clamp(PAGE_BYTES.0, PAGE_BYTES.1)
}

/// A Parquet file in the making.
pub(crate) struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    name: Arc<str>,
}

impl<W: Write + Send> ParquetFile<W> {
    /// A file of the table's columns, made of `source`, written to `to`. Pages of a row group go to stores of `pages`;
    /// without, they are kept in memory, and row groups are smaller.
    pub(crate) fn new(
        to: W,
        schema: &Schema,
        table: &Table,
        pages: Option<Arc<dyn PageStoreFactory>>,
        source: &str,
    ) -> Result<Self> {
        let has_text = schema.columns.iter().any(|column| column.kind == Kind::Utf8);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(page_bytes(schema.columns.len()))
            .set_data_page_row_count_limit(PAGE_ROWS)
            // So often a page's size is looked at: rows of text may have kilobytes in each column.
            .set_write_batch_size(match (has_text, schema.columns.len() > WIDE) {
                (true, true) => 64,
                (true, false) => 256,
                (false, _) => 1024,
            })
            .set_max_row_group_row_count(None)
            .set_max_row_group_bytes(Some(pages.as_ref().map_or(ROW_GROUP_BYTES_IN_MEMORY, |_| ROW_GROUP_BYTES)))
            .set_created_by("narrows".into());
        for column in &schema.columns {
            let path = ColumnPath::from(vec![column.name.to_string()]);
            let is_delta = delta_encoders(schema, column.kind) > 0;
            properties = match column.kind {
                // Packed bits do not get smaller by compression. The least of few values that are all over a
                // file tells nothing, and takes as long to find as to write them; of one value it is the file's.
                Kind::Dictionary => properties
                    .set_column_dictionary_enabled(path.clone(), true)
                    .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                    .set_column_statistics_enabled(
                        path,
                        match column.expected {
                            Some(_) => EnabledStatistics::Page,
                            None => EnabledStatistics::None,
                        },
                    ),
                Kind::Int64 | Kind::TimestampMs | Kind::TimestampUs | Kind::Timestamp if is_delta => properties
                    .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_compression(path, Compression::UNCOMPRESSED),
                Kind::Utf8 if is_delta => properties.set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
                _ => properties,
            };
        }
        let options = ArrowWriterOptions::new().with_properties(properties.build());
        let options = match pages {
            Some(pages) => options.with_page_store_factory(pages),
            None => options,
        };
        let writer = ArrowWriter::try_new_with_options(to, table.arrow_schema(), options)?;
        let mut file = Self { writer, name: schema.name.clone() };
        file.say("narrows.schema", schema.name.to_string());
        file.say("narrows.columns", table.columns_as_text());
        file.say("narrows.source", source.to_owned());
        Ok(file)
    }

    /// Writes a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)
    }

    /// What it is written to, for those who take what has been written so far.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        self.writer.inner_mut()
    }

    /// Ends the file, and gives back what it was written to.
    pub(crate) fn finish(mut self, rows: u64, sha256: Option<String>) -> Result<W> {
        self.say("narrows.rows", rows.to_string());
        if let Some(digest) = sha256 {
            self.say("narrows.sha256", digest);
        }
        self.writer.into_inner()
    }

    fn say(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
}

impl<W: Write + Send> fmt::Debug for ParquetFile<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile").field("schema", &self.name).finish_non_exhaustive()
    }
}

/// What a file says of its schema and of where it came from; `None` if it is no whole Parquet file of
/// narrows'.
///
/// No example: that of [`TableFile`](crate::TableFile) reads one.
pub fn read_about<R: ChunkReader>(file: R) -> Option<(String, About)> {
    about(&metadata(file)?)
}

/// See [`Form::is_table_of`](crate::Form::is_table_of).
pub(crate) fn is_table_of<R: ChunkReader>(file: R, schema: &Schema, asked: Option<&[String]>, source: &str) -> bool {
    let Some(metadata) = metadata(file) else { return false };
    let is_of = about(&metadata).is_some_and(|(name, about)| name == *schema.name && about.source == source);
    is_of && value(&metadata, "narrows.columns").is_some_and(|columns| columns == schema.columns_as_text(asked))
}

fn metadata<R: ChunkReader>(file: R) -> Option<ParquetMetaData> {
    ParquetMetaDataReader::new().parse_and_finish(&file).ok()
}

fn about(metadata: &ParquetMetaData) -> Option<(String, About)> {
    let get = |key| value(metadata, key);
    let rows = get("narrows.rows")?.parse().ok()?;
    Some((get("narrows.schema")?, About { source: get("narrows.source")?, sha256: get("narrows.sha256"), rows }))
}

fn value(metadata: &ParquetMetaData, key: &str) -> Option<String> {
    metadata.file_metadata().key_value_metadata()?.iter().find(|pair| pair.key == key)?.value.clone()
}
