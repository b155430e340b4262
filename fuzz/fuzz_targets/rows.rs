#![no_main]
//! Rows of text are read as the csv crate reads them, wherever they are cut; numbers as the standard library
//! does; and aggregate trades alike by their own reader and as a table.

use libfuzzer_sys::fuzz_target;
use narrows_bars::{AggTrades, BarError, Row};
use narrows_tables::{Column, Header, Kind, Piece, Schema, Separator, Table, binance};

/// Values as text, and how many rows were refused.
type Rows = (Vec<Vec<String>>, usize);

fn read(schema: &Schema, text: &[u8], piece: usize) -> Rows {
    let mut table = Table::new(schema, None).expect("it has columns of different names");
    let (mut rows, mut refused) = (Vec::new(), 0);
    let mut take = |taken: Piece<'_>| {
        match taken {
            Piece::Batch(batch) => {
                for row in 0..batch.num_rows() {
                    let shown = |column| shown(&batch, column, row);
                    rows.push((0..batch.num_columns()).map(shown).collect());
                }
            }
            Piece::Bad(..) => refused += 1,
        }
        Ok::<_, std::convert::Infallible>(())
    };
    text.chunks(piece).for_each(|block| table.push(block, &mut take).expect("infallible"));
    table.finish(&mut take).expect("infallible");
    (rows, refused)
}

fn shown(batch: &narrows_tables::RecordBatch, column: usize, row: usize) -> String {
    use arrow_array::{cast::AsArray, types::*};
    let array = batch.column(column);
    match array.data_type() {
        arrow_schema::DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        arrow_schema::DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        arrow_schema::DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_bits().to_string(),
        arrow_schema::DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        arrow_schema::DataType::Boolean => array.as_boolean().value(row).to_string(),
        _ => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
    }
}

/// What a field of this kind stands for, if it is one.
fn value(kind: Kind, field: &str) -> Option<String> {
    match kind {
        Kind::Int64 => {
            let is_plain = !field.starts_with('+');
            field.parse::<i64>().ok().filter(|_| is_plain).map(|value| value.to_string())
        }
        Kind::Float64 => {
            let digits = field.strip_prefix('-').unwrap_or(field);
            let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
                || (digits.starts_with('.') && digits[1..].starts_with(|first: char| first.is_ascii_digit()));
            let value = field.parse::<f64>().ok().filter(|value| is_number && value.is_finite());
            value.map(|value| value.to_bits().to_string())
        }
        _ => Some(field.to_owned()),
    }
}

fuzz_target!(|input: &[u8]| {
    let [which, piece, text @ ..] = input else { return };
    let piece = 1 + usize::from(*piece);
    let kinds = &[[Kind::Utf8, Kind::Int64, Kind::Float64], [Kind::Float64, Kind::Utf8, Kind::Int64]][usize::from(which & 1)]
        [..1 + usize::from(which >> 1) % 3];
    let columns: Vec<Column> = (0..).zip(kinds).map(|(at, kind)| Column::new(format!("c{at}"), *kind)).collect();
    let schema = Schema::new("fuzzed", Separator::Comma, Header::None, columns);
    let mut other = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let (mut rows, mut refused) = (Vec::new(), 0);
    for record in other.byte_records() {
        let record = record.expect("text in memory");
        let fields: Option<Vec<&str>> = record.iter().map(|field| std::str::from_utf8(field).ok()).collect();
        let values = fields.filter(|fields| fields.len() == kinds.len()).and_then(|fields| {
            kinds.iter().zip(fields).map(|(kind, field)| value(*kind, field)).collect::<Option<Vec<_>>>()
        });
        match values {
            Some(values) => rows.push(values),
            None => refused += 1,
        }
    }
    let expected = (rows, refused);
    for piece in [piece, 1, usize::MAX] {
        assert_eq!(read(&schema, text, piece), expected, "pieces of {piece}");
    }

    // What both readers of trades take is the same. A table takes more: a price below zero, say.
    let mut trades = Vec::new();
    let mut reader = AggTrades::new();
    let mut take = |row: Row<'_>| {
        if let Row::Trade(trade) = row {
            trades.push(vec![trade.id.to_string(), trade.price.to_string(), trade.quantity.to_string(), trade.time_us.to_string()]);
        }
        Ok::<_, BarError>(())
    };
    text.chunks(piece).for_each(|block| reader.read(block, &mut take).expect("nothing fails"));
    reader.finish(&mut take).expect("nothing fails");
    let table = binance::schema("um.aggTrades").expect("it is known");
    let (rows, _) = read(&table, text, piece);
    let mut rows = rows.into_iter().map(|row| vec![row[0].clone(), row[1].clone(), row[2].clone(), row[5].clone()]);
    let seven = |line: &&[u8]| line.iter().filter(|byte| **byte == b',').count() == 6;
    let is_all_seven = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).all(|line| seven(&line));
    if is_all_seven && !text.contains(&b'"') && !text.contains(&b'\r') && !text.starts_with(b"\xef\xbb\xbf") {
        for trade in trades {
            assert!(rows.any(|row| row == trade), "{trade:?} is no row of the table");
        }
    }
});
