//! What the npm package's tables stand on: `narrows_tables`, with blocks in and columns or bytes of files
//! out. A module of its own, for those who need it.
//!
//! It is no interface for users: `npm/tables.js` wraps it.
#![forbid(unsafe_code)]

mod columns;

use js_sys::Array;
use narrows_browser::Given;
use narrows_tables::{Form, Piece, Schema, Table, TableFile, known};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// What becomes of batches.
enum Out {
    /// They are handed over, column by column.
    Columns(Array),
    /// They are written.
    File(Option<TableFile<Vec<u8>>>),
}

/// A table in the making. What is thrown is a message: of options, or with `rejected: ` before it, of rows.
#[wasm_bindgen]
pub struct RawTable {
    table: Table,
    out: Out,
    skips_bad_rows: bool,
    /// A file was begun.
    is_within: bool,
    rejected: u32,
    /// Rejected rows, as the arguments of the callback.
    told: Array,
}

#[wasm_bindgen]
impl RawTable {
    /// A table of a known name, or of a schema's text.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue) -> Result<RawTable, String> {
        let given = Given::new(options, "")?;
        let name = given.text("schema")?.ok_or("option `schema`: expected a table's name, or lines of columns")?;
        let columns = given.get("columns").map(|columns| names(&columns)).transpose()?;
        let form =
            given.word("as", &[("columns", None), ("parquet", Some(Form::Parquet)), ("arrow", Some(Form::Arrow))])?;
        let skips_bad_rows = given.word("badRows", &[("fail", false), ("skip", true)])?;
        let source = given.text("source")?.unwrap_or_default();
        given.end()?;
        let schema: Schema = match known(&name) {
            Some(schema) => schema,
            None => {
                name.parse().map_err(|error| format!("option `schema`: no table is known by this name, and {error}"))?
            }
        };
        let table = Table::new(&schema, columns.as_deref()).map_err(|error| format!("option `columns`: {error}"))?;
        let out = match form {
            None => Out::Columns(Array::new()),
            Some(form) => {
                let file = TableFile::new(form, Vec::new(), &schema, &table, None, &source);
                Out::File(Some(file.map_err(|error| error.to_string())?))
            }
        };
        Ok(Self { table, out, skips_bad_rows, is_within: false, rejected: 0, told: Array::new() })
    }

    /// Takes a block of a file.
    pub fn push(&mut self, block: &[u8]) -> Result<(), String> {
        self.is_within = true;
        self.read(Some(block))
    }

    /// A file has ended; another of its kind may begin.
    #[wasm_bindgen(js_name = endFile)]
    pub fn end_file(&mut self) -> Result<(), String> {
        self.is_within = false;
        self.read(None)
    }

    /// There are no more files, and none is begun: ends what is written.
    pub fn end(&mut self) -> Result<Vec<u8>, String> {
        let rows = self.table.rows();
        let Out::File(file) = &mut self.out else { return Ok(Vec::new()) };
        file.take().map_or(Ok(Vec::new()), |file| file.finish(rows, None)).map_err(|error| error.to_string())
    }

    /// Takes the batches that have come together since: of each, the number of its rows, and its columns.
    pub fn batches(&mut self) -> Array {
        match &mut self.out {
            Out::Columns(batches) => std::mem::take(batches),
            Out::File(_) => Array::new(),
        }
    }

    /// Takes the bytes that have been written since.
    pub fn bytes(&mut self) -> Vec<u8> {
        match &mut self.out {
            Out::File(Some(file)) => std::mem::take(file.get_mut()),
            _ => Vec::new(),
        }
    }

    /// Whether a file was begun.
    #[wasm_bindgen(js_name = isWithin)]
    pub fn is_within(&self) -> bool {
        self.is_within
    }

    /// Takes what there is to tell.
    pub fn told(&mut self) -> Array {
        std::mem::take(&mut self.told)
    }

    /// Rows that fitted, and those that were passed over.
    pub fn counts(&self) -> Vec<f64> {
        vec![self.table.rows() as f64, f64::from(self.rejected)]
    }

    fn read(&mut self, block: Option<&[u8]>) -> Result<(), String> {
        let Self { table, out, skips_bad_rows, rejected, told, .. } = self;
        let mut take = |piece: Piece<'_>| {
            match piece {
                Piece::Batch(batch) => match out {
                    Out::Columns(batches) => drop(batches.push(&columns::of(&batch))),
                    Out::File(Some(file)) => file.write(&batch).map_err(|error| error.to_string())?,
                    Out::File(None) => return Err("the table has ended".to_owned()),
                },
                Piece::Bad(bad, _) if !*skips_bad_rows => return Err(format!("rejected: {bad}")),
                Piece::Bad(bad, row) => {
                    *rejected = rejected.saturating_add(1);
                    let row = String::from_utf8_lossy(row).into_owned();
                    told.push(&Array::of2(&bad.to_string().into(), &row.into()));
                }
            }
            Ok(())
        };
        match block {
            Some(block) => table.push(block, &mut take),
            None => table.finish(&mut take),
        }
    }
}

fn names(list: &JsValue) -> Result<Vec<String>, String> {
    let names = Array::is_array(list).then(|| Array::from(list).iter().map(|name| name.as_string()).collect());
    names.flatten().ok_or_else(|| "option `columns`: expected a list of names".to_owned())
}
