//! A table as a file, in one of its forms.

use std::{
    error::Error,
    fmt,
    io::{Read, Seek, Write},
    str::FromStr,
    sync::Arc,
};

use arrow_array::RecordBatch;
use parquet::{arrow::arrow_writer::PageStoreFactory, file::reader::ChunkReader};

use crate::{
    arrow_stream::{ArrowStream, is_stream_of},
    parquet_file::{self, ParquetFile},
    schema::Schema,
    table::{BATCH_BYTES, Table},
};

/// The form of a file.
///
/// ```
/// use narrows_tables::{Form, tardis};
///
/// let trades = tardis::schema("trades").expect("it is one of Tardis' types");
/// assert!(Form::Parquet.writer_bytes_max(&trades) < 9 << 20);
/// assert_eq!(Form::Arrow.extension(), "arrows");
/// assert_eq!("arrow".parse(), Ok(Form::Arrow));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Form {
    /// Parquet.
    #[default]
    Parquet,
    /// A stream of Arrow's (IPC).
    Arrow,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "parquet" => Ok(Self::Parquet),
            "arrow" => Ok(Self::Arrow),
            _ => Err(format!("{text:?} is neither parquet nor arrow")),
        }
    }
}

impl Form {
    /// What names of such files end with, behind the point.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrows",
        }
    }

    /// Most memory that a writer of such a table takes beside its batch, in bytes. For Parquet with pages in
    /// a store: of each column two pages and its encoder, of a dictionary its values; a quarter more for what
    /// the writer does not tell. For Arrow: the batch once more, with what rounds it up.
    pub fn writer_bytes_max(self, schema: &Schema) -> u64 {
        match self {
            Self::Parquet => parquet_file::writer_bytes_max(schema),
            Self::Arrow => 2 * BATCH_BYTES as u64,
        }
    }

    /// Whether a file is a whole table of this schema, in this form, with the columns that are asked for, or
    /// all, made of this source.
    pub fn is_table_of(
        self,
        file: impl ChunkReader + Read + Seek,
        schema: &Schema,
        asked: Option<&[String]>,
        source: &str,
    ) -> bool {
        match self {
            Self::Parquet => parquet_file::is_table_of(file, schema, asked, source),
            Self::Arrow => is_stream_of(file, schema, asked, source),
        }
    }
}

/// A table's file in the making.
///
/// ```
/// use narrows_tables::{Form, Piece, Table, TableFile, read_about, tardis};
///
/// let schema = tardis::schema("quotes").expect("it is one of Tardis' types");
/// let mut table = Table::new(&schema, None)?;
/// let mut file = TableFile::new(Form::Parquet, Vec::new(), &schema, &table, None, "mem://a")?;
/// let mut keep = |piece: Piece<'_>| match piece {
///     Piece::Batch(batch) => file.write(&batch).map_err(|error| error.to_string()),
///     Piece::Bad(bad, _) => Err(bad.to_string()),
/// };
/// table.push(b"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n", &mut keep)?;
/// table.push(b"deribit,BTC-PERPETUAL,1585699209920000,1585699209974125,2,6416.5,6416,\n", &mut keep)?;
/// table.finish(&mut keep)?;
/// let bytes = file.finish(table.rows(), None)?;
/// let (name, about) = read_about(bytes::Bytes::from(bytes)).expect("it says so");
/// assert_eq!((&*name, &*about.source, about.rows), ("tardis.quotes", "mem://a", 1));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TableFile<W: Write + Send>(Writer<W>);

#[derive(Debug)]
enum Writer<W: Write + Send> {
    Parquet(Box<ParquetFile<W>>),
    Arrow(Box<ArrowStream<W>>),
}

/// A table that could not be written.
///
/// No example: it passes on what the writer beneath says.
#[derive(Debug)]
pub struct WriteError(Box<dyn Error + Send + Sync>);

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for WriteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> WriteError {
    WriteError(Box::new(error))
}

impl<W: Write + Send> TableFile<W> {
    /// A file of the table's columns, made of `source`, written to `to`. Pages of a Parquet row group go to
    /// stores of `pages`; without, they are kept in memory, and row groups are smaller.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn new(
        form: Form,
        to: W,
        schema: &Schema,
        table: &Table,
        pages: Option<Arc<dyn PageStoreFactory>>,
        source: &str,
    ) -> Result<Self, WriteError> {
        Ok(Self(match form {
            Form::Parquet => {
                Writer::Parquet(Box::new(ParquetFile::new(to, schema, table, pages, source).map_err(failed)?))
            }
            Form::Arrow => Writer::Arrow(Box::new(ArrowStream::new(to, schema, table, source).map_err(failed)?)),
        }))
    }

    /// Writes a batch.
    ///
    /// # Errors
    ///
    /// Those of the writer beneath and of the page stores.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        match &mut self.0 {
            Writer::Parquet(file) => file.write(batch).map_err(failed),
            Writer::Arrow(stream) => stream.write(batch).map_err(failed),
        }
    }

    /// What it is written to, for those who take what has been written so far.
    pub fn get_mut(&mut self) -> &mut W {
        match &mut self.0 {
            Writer::Parquet(file) => file.get_mut(),
            Writer::Arrow(stream) => stream.get_mut(),
        }
    }

    /// Ends the file, and gives back what it was written to. A Parquet file says how many rows it was made of, and
    /// what SHA-256 the bytes had that they came from; a stream of Arrow's has said all it says at its beginning.
    ///
    /// # Errors
    ///
    /// Those of the writer beneath and of the page stores.
    pub fn finish(self, rows: u64, sha256: Option<String>) -> Result<W, WriteError> {
        match self.0 {
            Writer::Parquet(file) => file.finish(rows, sha256).map_err(failed),
            Writer::Arrow(stream) => stream.finish().map_err(failed),
        }
    }
}
