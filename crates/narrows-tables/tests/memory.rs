//! What a table and its writer take at most is what they say, counted by the allocator.
#![cfg(unix)]

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use counting::{Counting, peak};
use narrows_sim::{Prng, rows};
use narrows_tables::{
    Form, PageKey, PageStore, PageStoreArgs, PageStoreFactory, ParquetError, Piece, Schema, Table, TableFile, gdelt,
    tardis,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pages in a file.
#[derive(Clone, Debug)]
struct Pages(Arc<(File, Mutex<u64>)>);

struct Store(Pages, Vec<(u64, usize)>);

impl PageStoreFactory for Pages {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        Ok(Box::new(Store(self.clone(), Vec::new())))
    }
}

impl PageStore for Store {
    fn put(&mut self, value: Bytes) -> Result<PageKey, ParquetError> {
        let (file, end) = &*self.0.0;
        let mut end = end.lock().unwrap();
        file.write_all_at(&value, *end)?;
        self.1.push((*end, value.len()));
        *end += value.len() as u64;
        Ok(PageKey::new(self.1.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes, ParquetError> {
        let (at, length) = self.1[key.get() as usize];
        let mut page = vec![0; length];
        self.0.0.0.read_exact_at(&mut page, at)?;
        Ok(page.into())
    }
}

/// Writes a table of so many rows.
fn write(form: Form, schema: &Schema, text: &mut dyn FnMut(&mut Prng) -> String, count: usize) {
    let mut prng = Prng::new(3);
    let pages = Pages(Arc::new((tempfile::tempfile().unwrap(), Mutex::new(0))));
    let to = tempfile::tempfile().unwrap();
    let mut table = Table::new(schema, None).unwrap();
    let mut file = TableFile::new(form, to, schema, &table, Some(Arc::new(pages)), "mem://a").unwrap();
    let mut keep = |piece: Piece<'_>| match piece {
        Piece::Batch(batch) => file.write(&batch),
        Piece::Bad(bad, _) => panic!("{bad}"),
    };
    let header = schema.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(",") + "\n";
    if schema.name.starts_with("tardis") {
        table.push(header.as_bytes(), &mut keep).unwrap();
    }
    let mut block = Vec::with_capacity(128 << 10);
    for _ in 0..count {
        block.extend_from_slice(text(&mut prng).as_bytes());
        if block.len() > 64 << 10 {
            table.push(&block, &mut keep).unwrap();
            block.clear();
        }
    }
    table.push(&block, &mut keep).unwrap();
    table.finish(&mut keep).unwrap();
    let mut to = file.finish(table.rows(), None).unwrap();
    to.flush().unwrap();
}

/// One test, for the allocator counts for the whole process.
#[test]
fn tables_take_no_more_than_they_say() {
    /// A batch, the longest row, and what is between: as the command line sets aside.
    const TABLE_BYTES: usize = 3 << 20;
    let words = String::from_utf8(rows(&mut Prng::new(1), 1 << 16)).unwrap().replace(['\t', '\n', '\r', ','], " ");
    for name in tardis::TYPES {
        let schema = tardis::schema(name).unwrap();
        let mut id = 0;
        let mut row = |prng: &mut Prng| {
            id += 1;
            let fields = schema.columns.iter().map(|column| match &*column.name {
                "exchange" | "symbol" | "side" | "type" | "underlying_index" => {
                    ["a", "b", "c"][prng.below(3) as usize].into()
                }
                "is_snapshot" => "true".into(),
                "timestamp" | "local_timestamp" | "expiration" | "funding_timestamp" => {
                    (id * 1000 + prng.below(900)).to_string()
                }
                "id" => format!("{:032x}", prng.next_u64()),
                _ => format!("{}.{}", prng.below(1 << 30), prng.below(1 << 20)),
            });
            fields.collect::<Vec<String>>().join(",") + "\n"
        };
        let count = 12_000_000 / (schema.columns.len() * 12);
        for form in [Form::Parquet, Form::Arrow] {
            let ((), took) = peak(|| write(form, &schema, &mut row, count));
            let stated = form.writer_bytes_max(&schema) as usize + TABLE_BYTES;
            eprintln!("{name}, {form:?}: {took} of {stated} bytes");
            assert!(took <= stated, "{name}, {form:?}: {took} of {stated} bytes");
        }
    }
    for (name, bytes) in [("export", 5), ("mentions", 30), ("gkg", 700)] {
        let schema = gdelt::schema(name).unwrap();
        let mut row = |prng: &mut Prng| {
            let fields = schema.columns.iter().map(|column| match column.kind {
                narrows_tables::Kind::Utf8 => {
                    let at = prng.below(words.len() as u64 - 2000) as usize;
                    let end = at + prng.below(2 * bytes) as usize;
                    words.get(at..end).unwrap_or("x").to_owned()
                }
                _ => prng.below(1 << 40).to_string(),
            });
            fields.collect::<Vec<String>>().join("\t") + "\n"
        };
        let count = 24_000_000 / (schema.columns.len() * bytes as usize);
        for form in [Form::Parquet, Form::Arrow] {
            let ((), took) = peak(|| write(form, &schema, &mut row, count));
            let stated = form.writer_bytes_max(&schema) as usize + TABLE_BYTES;
            eprintln!("{name}, {form:?}: {took} of {stated} bytes");
            assert!(took <= stated, "{name}, {form:?}: {took} of {stated} bytes");
        }
    }
}
