//! What can be wrong with rows and schemas.

use std::{error::Error, fmt, sync::Arc};

/// A row that does not fit its table.
///
/// No example: that of the crate hands one on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BadRow {
    /// Its place in the file, from 1; a header counts.
    pub row: u64,
    /// The column, or `None` if it is the row as a whole.
    pub column: Option<Arc<str>>,
    /// What stands there, escaped, at most some dozens of characters.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl BadRow {
    pub(crate) fn new(row: u64, column: Option<&Arc<str>>, value: &[u8], problem: impl Into<String>) -> Self {
        const SHOWN: usize = 60;
        let mut shown = value[..value.len().min(SHOWN)].escape_ascii().to_string();
        if value.len() > SHOWN {
            shown.push_str("...");
        }
        Self { row, column: column.cloned(), value: shown, problem: problem.into() }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, column, value, problem } = self;
        match column {
            Some(column) => write!(f, "row {row}, {column} \"{value}\": {problem}"),
            None => write!(f, "row {row}, \"{value}\": {problem}"),
        }
    }
}

impl Error for BadRow {}

/// A schema of which no table can be made.
///
/// ```
/// use narrows_tables::{SchemaError, Table, tardis};
///
/// let schema = tardis::schema("quotes").expect("it is one of Tardis' types");
/// let asked = ["ask_price".into(), "colour".into()];
/// assert_eq!(Table::new(&schema, Some(&asked)).unwrap_err(), SchemaError::NoSuchColumn("colour".into()));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SchemaError {
    /// It has no columns.
    Empty,
    /// Two of its columns have this name.
    Twice(Arc<str>),
    /// A column was asked for that it has not.
    NoSuchColumn(String),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the table has no columns"),
            Self::Twice(name) => write!(f, "two columns are called {name:?}"),
            Self::NoSuchColumn(name) => write!(f, "there is no column {name:?}"),
        }
    }
}

impl Error for SchemaError {}
