//! Tables against an independent reading of the same text: random schemas and rows, cut anywhere, with
//! quotes, line feeds, nulls and rows that do not fit; and back from Parquet.

use std::{fmt::Write as _, io::Write as _};

use arrow_array::{
    Array, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, types::Int32Type,
};
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use narrows_sim::Prng;
use narrows_tables::{
    About, Column, Form, Header, Kind, Piece, Schema, Separator, Table, TableFile, gdelt, read_about, tardis,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const KINDS: [Kind; 9] = [
    Kind::Int64,
    Kind::Float64,
    Kind::Decimal { scale: 8 },
    Kind::Utf8,
    Kind::Dictionary,
    Kind::Boolean,
    Kind::TimestampMs,
    Kind::TimestampUs,
    Kind::Timestamp,
];

/// The value of a row, as text of one form; nulls are `None`.
fn shown(batch: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let array = batch.column(column).as_any();
    if batch.column(column).is_null(row) {
        return None;
    }
    Some(if let Some(array) = array.downcast_ref::<Int64Array>() {
        array.value(row).to_string()
    } else if let Some(array) = array.downcast_ref::<Float64Array>() {
        format!("{:?}", array.value(row))
    } else if let Some(array) = array.downcast_ref::<Decimal128Array>() {
        array.value(row).to_string()
    } else if let Some(array) = array.downcast_ref::<StringArray>() {
        array.value(row).to_owned()
    } else if let Some(array) = array.downcast_ref::<DictionaryArray<Int32Type>>() {
        let values = array.values().as_any().downcast_ref::<StringArray>().unwrap();
        values.value(array.keys().value(row) as usize).to_owned()
    } else if let Some(array) = array.downcast_ref::<BooleanArray>() {
        array.value(row).to_string()
    } else if let Some(array) = array.downcast_ref::<TimestampMillisecondArray>() {
        array.value(row).to_string()
    } else if let Some(array) = array.downcast_ref::<TimestampMicrosecondArray>() {
        array.value(row).to_string()
    } else {
        panic!("{:?}", batch.schema())
    })
}

fn rows_of(batches: impl Iterator<Item = RecordBatch>) -> Rows {
    let of = |batch: RecordBatch| {
        let row = |row| (0..batch.num_columns()).map(|column| shown(&batch, column, row)).collect();
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    batches.flat_map(of).collect()
}

/// A field of this kind, the value it stands for, or `Err` if it is none.
fn field(prng: &mut Prng, kind: Kind, nullable: bool) -> (String, Result<Option<String>, ()>) {
    if prng.below(400) == 0 {
        let is_text = matches!(kind, Kind::Utf8 | Kind::Dictionary);
        return ("no-value".into(), if is_text { Ok(Some("no-value".into())) } else { Err(()) });
    }
    if nullable && prng.below(5) == 0 {
        return (String::new(), Ok(None));
    }
    let (text, value) = match kind {
        Kind::Int64 | Kind::TimestampMs | Kind::TimestampUs => {
            let number = prng.next_u64() as i64 >> prng.below(63);
            (number.to_string(), number.to_string())
        }
        Kind::Timestamp => {
            let number = prng.below(1 << 53);
            let is_milliseconds = number < 10_000_000_000_000;
            (number.to_string(), (if is_milliseconds { number * 1000 } else { number }).to_string())
        }
        Kind::Float64 => {
            let number = (prng.below(1 << 40) as f64 - 5e11) / [1.0, 1e2, 1e8, 1e15][prng.below(4) as usize];
            (number.to_string(), format!("{number:?}"))
        }
        Kind::Decimal { .. } => {
            let units = prng.below(1 << 50) as i128;
            (format!("{}.{:08}", units / 100_000_000, units % 100_000_000), units.to_string())
        }
        Kind::Boolean => {
            let value = prng.below(2) == 0;
            (
                if prng.below(2) == 0 {
                    value.to_string()
                } else if value {
                    "True".into()
                } else {
                    "False".into()
                },
                value.to_string(),
            )
        }
        Kind::Dictionary => {
            let text = ["buy", "sell", "unknown", "a,b"][prng.below(4) as usize];
            (text.to_owned(), text.to_owned())
        }
        _ => {
            let pieces = ["a", "ß", "\"", ",", "\n", "\r\n", " ", "日本", "''", "\u{2028}"];
            let text: String = (0..1 + prng.below(6)).map(|_| pieces[prng.below(10) as usize]).collect();
            (text.clone(), text)
        }
    };
    (text, Ok(Some(value)))
}

/// A field as CSV has it.
fn quoted(prng: &mut Prng, field: &str) -> String {
    match field.contains(['"', ',', '\n', '\r']) || prng.below(20) == 0 {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

type Rows = Vec<Vec<Option<String>>>;

fn read(
    schema: &Schema,
    asked: Option<&[String]>,
    text: &[u8],
    cut: &mut impl FnMut() -> usize,
) -> (Rows, Vec<String>, Vec<RecordBatch>) {
    let mut table = Table::new(schema, asked).unwrap();
    let (mut rows, mut bad, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    let mut take = |piece: Piece<'_>| {
        match piece {
            Piece::Batch(batch) => {
                for row in 0..batch.num_rows() {
                    rows.push((0..batch.num_columns()).map(|column| shown(&batch, column, row)).collect());
                }
                batches.push(batch);
            }
            Piece::Bad(error, _) => bad.push(error.to_string()),
        }
        Ok::<_, std::convert::Infallible>(())
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(cut().clamp(1, rest.len()));
        table.push(block, &mut take).unwrap();
        rest = behind;
    }
    table.finish(&mut take).unwrap();
    let counted = table.rows();
    assert_eq!(counted, rows.len() as u64);
    (rows, bad, batches)
}

#[test]
fn a_thousand_random_tables_read_as_another_reader_reads_them() {
    let mut compared = 0;
    for seed in 0..1000 {
        let mut prng = Prng::new(seed);
        let columns: Vec<Column> = (0..1 + prng.below(8))
            .map(|number| {
                let column = Column::new(format!("column {number}"), KINDS[prng.below(9) as usize]);
                if prng.below(2) == 0 { column.nullable() } else { column }
            })
            .collect();
        let schema = Schema::new("random", Separator::Comma, Header::Required, columns.clone());
        let mut text = columns.iter().map(|column| column.name.to_string()).collect::<Vec<_>>().join(",") + "\n";
        let (mut expected, mut refused) = (Vec::new(), 0);
        for _ in 0..prng.below(60) {
            let mut fields: Vec<_> =
                columns.iter().map(|column| field(&mut prng, column.kind, column.is_nullable)).collect();
            if prng.below(50) == 0 {
                fields.push(("more".to_owned(), Err(())));
            }
            if fields.len() == 1 && fields[0].0.is_empty() {
                continue; // a blank line is no row
            }
            let line: Vec<String> = fields.iter().map(|(text, _)| quoted(&mut prng, text)).collect();
            text += &line.join(",");
            text += ["\n", "\r\n"][prng.below(2) as usize];
            match fields.into_iter().map(|(_, value)| value).collect::<Result<Vec<_>, _>>() {
                Ok(row) => expected.push(row),
                Err(()) => refused += 1,
            }
        }
        if prng.below(2) == 0 && text.ends_with('\n') && !expected.is_empty() {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
        // The reading by another: the same fields, as text.
        let mut other = csv::ReaderBuilder::new().has_headers(true).flexible(true).from_reader(text.as_bytes());
        assert_eq!(other.records().count(), expected.len() + refused, "seed {seed}");
        let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || 1 + prng.below(90) as usize);
        assert_eq!(rows, expected, "seed {seed}");
        assert_eq!(bad.len(), refused, "seed {seed}: {bad:?}");
        // In one block, plain rows are read without being split first.
        let (whole, same, _) = read(&schema, None, text.as_bytes(), &mut || usize::MAX);
        assert_eq!((&whole, same.len()), (&expected, refused), "seed {seed}: {same:?}");
        let asked = [columns[columns.len() / 2].name.to_string()];
        let (one, ..) = read(&schema, Some(&asked), text.as_bytes(), &mut || usize::MAX);
        assert!(one.len() >= expected.len(), "seed {seed}: a column takes no heed of the others");
        compared += rows.len();
    }
    assert!(compared > 20_000, "{compared}");
}

#[test]
fn tabs_are_never_quoted_and_those_at_the_end_are_columns() {
    let columns = vec![
        Column::new("id", Kind::Int64),
        Column::new("text", Kind::Utf8),
        Column::new("empty", Kind::Utf8).nullable(),
    ];
    let schema = Schema::new("tsv", Separator::Tab, Header::None, columns);
    let text = "1\t\"quoted\t\n2\ta\u{2028}\u{b}b\t\r\n3\tlast\t";
    for size in 1..text.len() {
        let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || size);
        let of = |id: &str, text: &str| vec![Some(id.to_owned()), Some(text.to_owned()), None];
        assert_eq!(rows, [of("1", "\"quoted"), of("2", "a\u{2028}\u{b}b"), of("3", "last")], "blocks of {size}");
        assert!(bad.is_empty());
    }
}

#[test]
fn real_rows_of_gdelt_fit_their_tables() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/gdelt");
    for (file, name) in [("events.csv", "export"), ("mentions.csv", "mentions"), ("gkg.csv", "gkg")] {
        let Ok(text) = std::fs::read(folder.join(file)) else {
            return eprintln!("skipped: there is no {}", folder.display());
        };
        let schema = gdelt::schema(name).unwrap();
        let (rows, bad, _) = read(&schema, None, &text, &mut || 4093);
        assert!(bad.is_empty(), "{file}: {bad:?}");
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), lines.len(), "{file}");
        for (row, line) in rows.iter().zip(lines) {
            let fields: Vec<&[u8]> = line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b'\t').collect();
            for (at, (value, field)) in row.iter().zip(fields).enumerate() {
                let field = std::str::from_utf8(field).unwrap();
                let same = match value {
                    None => field.is_empty(),
                    Some(value) => {
                        value == field || value.parse::<f64>().ok().is_some_and(|value| Ok(value) == field.parse())
                    }
                };
                assert!(same, "{file}, column {at}: {value:?} {field:?}");
            }
        }
    }
}

#[test]
fn headers_are_required_detected_or_none() {
    let with = |header, text: &str| {
        let schema = Schema::new(
            "h",
            Separator::Comma,
            header,
            vec![Column::new("a", Kind::Int64), Column::new("b", Kind::Int64)],
        );
        let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || 1000);
        (rows.len(), bad)
    };
    assert_eq!(with(Header::Required, "a,b\n1,2\n"), (1, vec![]));
    assert_eq!(with(Header::Required, "\u{feff}a,b\n1,2\n"), (1, vec![]));
    assert_eq!(with(Header::Required, "a,b\n"), (0, vec![]));
    assert_eq!(with(Header::Required, "").1, ["row 1, \"\": there is no header"]);
    assert_eq!(with(Header::Required, "b,a\n1,2\n").1, ["row 1, \"ba\": not the header a,b".replace("ba", "b,a")]);
    assert_eq!(with(Header::Detected, "a,b\n1,2\n"), (1, vec![]));
    assert_eq!(with(Header::Detected, "1,2\n3,4"), (2, vec![]));
    assert_eq!(with(Header::None, "a,b\n1,2\n").1, ["row 1, a \"a\": not a whole number of 64 bits"]);
}

#[test]
fn a_byte_order_mark_is_no_data_wherever_it_is_cut() {
    for separator in [Separator::Comma, Separator::Tab] {
        let schema = Schema::new("m", separator, Header::None, vec![Column::new("a", Kind::Utf8)]);
        for (text, expected) in [
            ("\u{feff}x\ny", vec!["x", "y"]),
            ("\u{feff}\u{feff}x\n\u{feff}y\n", vec!["\u{feff}x", "\u{feff}y"]),
            ("\u{fec0}\n", vec!["\u{fec0}"]),
        ] {
            for size in 1..text.len() + 1 {
                let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || size);
                let rows: Vec<&str> = rows.iter().map(|row| row[0].as_deref().unwrap()).collect();
                assert_eq!((rows, bad.len()), (expected.clone(), 0), "{separator:?}, blocks of {size}");
            }
        }
        let (rows, bad, _) = read(&schema, None, b"\xef\xbb", &mut || 1);
        assert_eq!((rows.len(), bad.len()), (0, 1), "half a mark is no text");
    }
}

#[test]
fn rows_that_do_not_fit_say_where_and_why_and_the_others_are_kept() {
    let schema = tardis::schema("trades").unwrap().expecting("exchange", "deribit").expecting("symbol", "B");
    let header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n";
    let good = "deribit,B,1,2,x,buy,1.5,2\n";
    let cases = [
        ("binance,B,1,2,x,buy,1.5,2", "row 3, exchange \"binance\": not what was asked for"),
        ("deribit,C,1,2,x,buy,1.5,2", "row 3, symbol \"C\": not what was asked for"),
        ("deribit,B,1.5,2,x,buy,1.5,2", "row 3, timestamp \"1.5\": not a whole number of 64 bits"),
        ("deribit,B,1,2,x,buy,,2", "row 3, price \"\": empty"),
        ("deribit,B,1,2,x,buy,NaN,2", "row 3, price \"NaN\": not a number"),
        ("deribit,B,1,2,x,buy,1.5", "row 3, \"deribit,B,1,2,x,buy,1.5\": 7 columns, 8 are expected"),
        ("deribit,B,1,2,x,buy,1.5,2,3", "row 3, \"deribit,B,1,2,x,buy,1.5,2,3\": 9 columns, 8 are expected"),
    ];
    for (line, expected) in cases {
        let text = format!("{header}{good}{line}\n{good}");
        for size in [1, 7, 10_000] {
            let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || size);
            assert_eq!(rows.len(), 2, "{line}");
            // Where a row was cut, its fields are shown without what separated them.
            let plain = |text: &str| text.replace(',', "");
            assert_eq!(bad.iter().map(|bad| plain(bad)).collect::<Vec<_>>(), [plain(expected)], "{line}");
        }
    }
    let long = format!("{header}{good}{}\n{good}", "y".repeat(3 << 20));
    let (rows, bad, _) = read(&schema, None, long.as_bytes(), &mut || 65_536);
    assert_eq!((rows.len(), bad.len()), (2, 1));
    assert!(bad[0].contains("longer than a row may be"), "{}", bad[0].len());
}

#[test]
fn a_known_value_that_has_to_be_quoted_is_not_one_without_its_quotes() {
    let columns = vec![Column::new("side", Kind::Dictionary), Column::new("note", Kind::Utf8)];
    let schema = Schema::new("s", Separator::Comma, Header::None, columns);
    let text = "\"a,b\",some note behind it\na,b,some note behind it\nc,some note behind it\n";
    let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || usize::MAX);
    assert_eq!(rows.iter().map(|row| row[0].as_deref()).collect::<Vec<_>>(), [Some("a,b"), Some("c")]);
    assert_eq!(bad, ["row 2, \"a,b,some note behind it\": 3 columns, 2 are expected"]);
}

#[test]
fn refused_rows_leave_nothing_behind() {
    let columns = vec![Column::new("few", Kind::Dictionary), Column::new("number", Kind::Float64)];
    let schema = Schema::new("s", Separator::Comma, Header::None, columns);
    let bad: String = (0..20_000).map(|row| format!("value {row},none\n")).collect();
    let text = format!("a,1\n{bad}b,2\n");
    for size in [100, usize::MAX] {
        let (rows, refused, batches) = read(&schema, None, text.as_bytes(), &mut || size);
        assert_eq!((rows.len(), refused.len(), batches.len()), (2, 20_000, 1));
        let few = batches[0].column(0).as_any().downcast_ref::<DictionaryArray<Int32Type>>().unwrap();
        assert_eq!(few.values().len(), 2);
    }
}

#[test]
fn a_row_is_too_long_wherever_it_is_cut() {
    for separator in [Separator::Comma, Separator::Tab] {
        let schema = Schema::new("s", separator, Header::None, vec![Column::new("text", Kind::Utf8)]);
        let text = format!("a\n{}\nb\n", "y".repeat(2 << 20));
        for size in [65_536, usize::MAX] {
            let (rows, bad, _) = read(&schema, None, text.as_bytes(), &mut || size);
            assert_eq!((rows.len(), bad.len()), (2, 1), "{separator:?}, blocks of {size}");
        }
    }
}

#[test]
fn files_one_after_another_have_rows_and_headers_of_their_own() {
    let columns = vec![Column::new("a", Kind::Int64), Column::new("b", Kind::Int64)];
    let schema = Schema::new("h", Separator::Comma, Header::Required, columns);
    let mut table = Table::new(&schema, None).unwrap();
    let (mut rows, mut bad) = (0, Vec::new());
    for file in ["a,b\n1,2\n3,4", "a,b\n5,6", "7,8\n"] {
        let mut take = |piece: Piece<'_>| {
            match piece {
                Piece::Batch(batch) => rows += batch.num_rows(),
                Piece::Bad(error, _) => bad.push(error.to_string()),
            }
            Ok::<_, std::convert::Infallible>(())
        };
        table.push(file.as_bytes(), &mut take).unwrap();
        table.finish(&mut take).unwrap();
    }
    assert_eq!((rows, table.rows()), (3, 3));
    assert_eq!(bad, ["row 1, \"7,8\": not the header a,b"]);
}

#[test]
fn columns_that_are_not_asked_for_are_not_parsed() {
    let schema = tardis::schema("trades").unwrap();
    let text = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nd,B,1,2,x,buy,1.5,none\n";
    let asked = ["price".to_owned(), "side".to_owned()];
    let (rows, bad, _) = read(&schema, Some(&asked), text.as_bytes(), &mut || 1000);
    assert_eq!((rows, bad), (vec![vec![Some("buy".into()), Some("1.5".into())]], vec![]));
}

#[test]
fn both_forms_read_back_the_same_for_every_type() {
    for name in tardis::TYPES {
        let schema = tardis::schema(name).unwrap();
        let mut prng = Prng::new(7);
        let mut text = schema.columns.iter().map(|column| column.name.to_string()).collect::<Vec<_>>().join(",") + "\n";
        for _ in 0..3000 {
            for (at, column) in schema.columns.iter().enumerate() {
                let (field, _) = loop {
                    let made = field(&mut prng, column.kind, column.is_nullable);
                    if made.1.is_ok() {
                        break made;
                    }
                };
                let _ = write!(text, "{}{}", if at == 0 { "" } else { "," }, quoted(&mut prng, &field));
            }
            text.push('\n');
        }
        let (rows, bad, batches) = read(&schema, None, text.as_bytes(), &mut || 65_536);
        assert!(bad.is_empty() && rows.len() == 3000, "{bad:?}");
        let about = About { source: "mem://a".into(), sha256: Some("00".into()), rows: 3000 };
        let symbol = ["symbol".to_owned()];
        let [bytes, stream] = [Form::Parquet, Form::Arrow].map(|form| {
            let table = Table::new(&schema, None).unwrap();
            let mut file = TableFile::new(form, Vec::new(), &schema, &table, None, "mem://a").unwrap();
            batches.iter().for_each(|batch| file.write(batch).unwrap());
            let bytes = file.finish(about.rows, about.sha256.clone()).unwrap();
            let is_of = |bytes: &[u8], asked, source| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                form.is_table_of(file, &schema, asked, source)
            };
            assert!(is_of(&bytes, None, "mem://a"));
            assert!(!is_of(&bytes, None, "mem://b"), "of another source");
            assert!(!is_of(&bytes, Some(&symbol[..]), "mem://a"), "of other columns");
            assert!(!is_of(&bytes[..bytes.len() - 1], None, "mem://a"), "cut");
            let mut other = schema.clone();
            other.columns[0].kind = Kind::Utf8;
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert!(!form.is_table_of(file, &other, None, "mem://a"), "of other types");
            assert!(!is_of(b"", None, "mem://a"));
            Bytes::from(bytes)
        });
        assert_eq!(read_about(bytes.clone()), Some((format!("tardis.{name}"), about)));
        assert_eq!(read_about(bytes.slice(..bytes.len() - 1)), None, "a cut file says nothing");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        assert_eq!(rows_of(reader.map(|batch| batch.unwrap())), rows, "{name}");
        let reader = StreamReader::try_new(stream.as_ref(), None).unwrap();
        assert_eq!(rows_of(reader.map(|batch| batch.unwrap())), rows, "{name}");
    }
}
