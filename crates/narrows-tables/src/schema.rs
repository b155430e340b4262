//! What a table's columns are.

use std::{fmt, sync::Arc};

use arrow_schema::{DataType, Field, TimeUnit};

/// What a column holds.
///
/// ```
/// use narrows_tables::Kind;
///
/// assert!(Kind::Decimal { scale: 8 } != Kind::Float64);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Whole numbers of 64 bits.
    Int64,
    /// Numbers of double precision.
    Float64,
    /// Decimal numbers of 38 digits, so many of them behind the point. Nothing is rounded.
    Decimal {
        /// Digits behind the point.
        scale: i8,
    },
    /// Text.
    Utf8,
    /// Text of few different values, kept once each in a batch.
    Dictionary,
    /// `true` or `false`.
    Boolean,
    /// Milliseconds since 1970 (UTC).
    TimestampMs,
    /// Microseconds since 1970 (UTC).
    TimestampUs,
    /// Microseconds since 1970 (UTC) of numbers that may be milliseconds: those below 10¹³ are, for as
    /// microseconds they would be April 1970.
    Timestamp,
}

/// As text has it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Decimal { scale } => return write!(f, "decimal({scale})"),
            Self::Utf8 => "utf8",
            Self::Dictionary => "dictionary",
            Self::Boolean => "boolean",
            Self::TimestampMs => "timestamp_ms",
            Self::TimestampUs => "timestamp_us",
            Self::Timestamp => "timestamp",
        })
    }
}

impl Kind {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Decimal { scale } => DataType::Decimal128(38, scale),
            Self::Utf8 => DataType::Utf8,
            Self::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Boolean => DataType::Boolean,
            Self::TimestampMs => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::TimestampUs | Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// Bytes of a value in a batch; of text, what is usual.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Decimal { .. } => 16,
            Self::Utf8 => 32,
            Self::Dictionary => 4,
            Self::Boolean => 1,
            _ => 8,
        }
    }
}

/// A column.
///
/// ```
/// use narrows_tables::{Column, Kind};
///
/// let price = Column::new("price", Kind::Float64).nullable();
/// assert!(price.is_nullable);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// Its name, as in the header.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
    /// Whether an empty field is a null. If not, it is an error, and in a column of text the empty text.
    pub is_nullable: bool,
    /// The one value that is right, where there is only one.
    pub expected: Option<Arc<str>>,
}

impl Column {
    /// A column that is never empty, unless it is text.
    pub fn new(name: impl Into<Arc<str>>, kind: Kind) -> Self {
        Self { name: name.into(), kind, is_nullable: false, expected: None }
    }

    /// With nulls for empty fields.
    #[must_use]
    pub fn nullable(self) -> Self {
        Self { is_nullable: true, ..self }
    }

    /// With the one value that is right.
    #[must_use]
    pub fn expected(self, value: impl Into<Arc<str>>) -> Self {
        Self { expected: Some(value.into()), ..self }
    }

    pub(crate) fn field(&self) -> Field {
        Field::new(&*self.name, self.kind.data_type(), self.is_nullable)
    }
}

/// Whether the first row has the columns' names.
///
/// No example: [`Schema`] has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// It must, in order.
    Required,
    /// It has not.
    None,
    /// It may: it has if it is exactly these names.
    Detected,
}

/// What stands between fields.
///
/// No example: [`Schema`] has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Separator {
    /// Commas, and quotes around fields that have commas, quotes or line feeds in them (RFC 4180).
    Comma,
    /// Tabs, and nothing is quoted: a quote is data, and tabs at the end are columns.
    Tab,
}

/// What a table is.
///
/// ```
/// use narrows_tables::{Column, Header, Kind, Schema, Separator};
///
/// let columns = vec![Column::new("id", Kind::Int64), Column::new("note", Kind::Utf8).nullable()];
/// let schema = Schema::new("notes", Separator::Comma, Header::Required, columns);
/// assert_eq!(schema.columns.len(), 2);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Schema {
    /// Its name, which a file of such a table repeats.
    pub name: Arc<str>,
    /// What stands between fields.
    pub separator: Separator,
    /// Whether the first row has the columns' names.
    pub header: Header,
    /// The columns, in order.
    pub columns: Vec<Column>,
}

impl Schema {
    /// A table of these columns.
    pub fn new(name: impl Into<Arc<str>>, separator: Separator, header: Header, columns: Vec<Column>) -> Self {
        Self { name: name.into(), separator, header, columns }
    }

    /// What a file says of the columns that are asked for, or of all.
    pub(crate) fn columns_as_text(&self, asked: Option<&[String]>) -> String {
        let is_asked = |column: &&Column| asked.is_none_or(|asked| asked.iter().any(|other| **other == *column.name));
        columns_as_text(self.columns.iter().filter(is_asked))
    }

    /// With one right value for the column of this name.
    #[must_use]
    pub fn expecting(mut self, column: &str, value: impl Into<Arc<str>>) -> Self {
        if let Some(column) = self.columns.iter_mut().find(|other| *other.name == *column) {
            column.expected = Some(value.into());
        }
        self
    }
}

/// Names of columns, types and whether there are nulls. A file repeats it, so that one of other types is not taken
/// for it.
pub(crate) fn columns_as_text<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let text =
        |column: &Column| format!("{}{} {}", column.kind, if column.is_nullable { "?" } else { "" }, column.name);
    columns.map(text).collect::<Vec<_>>().join("\n")
}
