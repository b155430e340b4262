//! Rows of aggregate trades as Binance publishes them, from blocks of bytes as they come.
//!
//! Spot files have no header and eight columns, those of futures a header (older ones none) and seven.
//! Times are milliseconds or, in spot files from 2025 on, microseconds; which of them a number tells.

use std::{error::Error, fmt};

use narrows_numbers::digits_at;

use crate::{
    decimal::{BadDecimal, decimal},
    trade::Trade,
};

/// Longest row in bytes. Honest ones have about a hundred.
const ROW_BYTES_MAX: usize = 1024;
/// Times below this are milliseconds; as microseconds it would be April 1970.
const MICROSECONDS_FROM: i64 = 10_000_000_000_000;

const HEADERS: [&str; 3] = [
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "a,p,q,f,l,T,m",
    "a,p,q,f,l,T,m,M",
];

/// A row, or one that is none.
///
/// No example: that of [`AggTrades`] has one.
#[derive(Debug)]
pub enum Row<'a> {
    /// A trade.
    Trade(Trade),
    /// Something else, with its bytes. Whether that is passed over is for the caller to say.
    Bad(BadRow, &'a [u8]),
}

/// Why a row is no trade.
///
/// ```
/// use narrows_bars::{AggTrades, BarError, Row};
///
/// let mut bad = None;
/// AggTrades::new().read::<BarError>(b"1,free,1,1,1,1000,true\n", |row| {
///     if let Row::Bad(error, _) = row { bad = Some(error.to_string()) }
///     Ok(())
/// })?;
/// assert_eq!(bad.as_deref(), Some("row 1, price \"free\": not a decimal number"));
/// # Ok::<_, BarError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BadRow {
    /// Line of the file, from 1; a header counts.
    pub row: u64,
    /// The column, or `None` if it is the row as a whole.
    pub column: Option<&'static str>,
    /// What stands there, escaped, at most some dozens of characters.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
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

/// Reads rows from blocks, wherever they are cut. Holds the beginning of one row at most.
///
/// ```
/// use narrows_bars::{AggTrades, BarError, Row};
///
/// let mut rows = AggTrades::new();
/// let mut prices = Vec::new();
/// let mut take = |row: Row<'_>| {
///     if let Row::Trade(trade) = row { prices.push(trade.price) }
///     Ok(())
/// };
/// rows.read::<BarError>(b"1,4.5,1,1,1,100", &mut take)?;
/// rows.read::<BarError>(b"0,true\n2,4.6,1,2,2,1001,false", &mut take)?;
/// rows.finish::<BarError>(&mut take)?;
/// assert_eq!((prices, rows.rows()), (vec![450_000_000, 460_000_000], 2));
/// # Ok::<_, BarError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AggTrades {
    /// The beginning of a row.
    carry: Vec<u8>,
    row: u64,
    /// The row is longer than any; what is left of it is passed over.
    is_too_long: bool,
}

impl AggTrades {
    /// A reader at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows that have been read of this file, a header included.
    pub fn rows(&self) -> u64 {
        self.row
    }

    /// Reads a block and gives its rows, in order, to `take`.
    ///
    /// # Errors
    ///
    /// Those of `take`, after which the reader is of no further use.
    pub fn read<E>(&mut self, block: &[u8], mut take: impl FnMut(Row<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = block;
        if !self.carry.is_empty() || self.is_too_long {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (head, tail) = end.map_or((rest, None), |end| (&rest[..end], Some(&rest[end + 1..])));
            self.keep(head);
            let Some(tail) = tail else { return Ok(()) };
            self.line(&mut take)?;
            rest = tail;
        }
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (mut lines, partial) = rest.split_at(whole);
        while !lines.is_empty() {
            self.row += 1;
            if let Some((trade, taken)) = fast(lines) {
                take(Row::Trade(trade))?;
                lines = &lines[taken..];
                continue;
            }
            let end = lines.iter().position(|byte| *byte == b'\n').unwrap_or(lines.len() - 1);
            self.give(&lines[..end], &mut take)?;
            lines = &lines[end + 1..];
        }
        self.keep(partial);
        Ok(())
    }

    /// The file has ended: its last row may have no line feed. The reader then is at the beginning of
    /// another file, but for [`rows`](Self::rows), which the next row resets.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn finish<E>(&mut self, mut take: impl FnMut(Row<'_>) -> Result<(), E>) -> Result<(), E> {
        if !self.carry.is_empty() || self.is_too_long {
            self.line(&mut take)?;
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = ROW_BYTES_MAX - self.carry.len();
        self.carry.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_too_long |= bytes.len() > room;
    }

    /// The row that was carried is whole.
    fn line<E>(&mut self, take: &mut impl FnMut(Row<'_>) -> Result<(), E>) -> Result<(), E> {
        self.row += 1;
        let line = std::mem::take(&mut self.carry);
        if std::mem::take(&mut self.is_too_long) {
            take(Row::Bad(bad(self.row, None, &line, "longer than any row of trades"), &line))?;
        } else {
            self.give(&line, take)?;
        }
        self.carry = line;
        self.carry.clear();
        Ok(())
    }

    fn give<E>(&self, line: &[u8], take: &mut impl FnMut(Row<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.row == 1 && is_header(line) {
            return Ok(());
        }
        match parse(self.row, line) {
            Ok(trade) => take(Row::Trade(trade)),
            Err(error) => take(Row::Bad(error, line)),
        }
    }
}

/// A well-formed row at the beginning of whole lines, and its length with the line feed. One pass over
/// the bytes; whatever is unusual is left to [`parse`], which says what is wrong with it.
fn fast(lines: &[u8]) -> Option<(Trade, usize)> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let (value, count) = digits_at(&lines[*at..]);
        *at += count;
        // 18 digits never overflow.
        ((1..=18).contains(&count)).then_some((value as i64, count))
    };
    let comma = |at: &mut usize| {
        let is = lines.get(*at) == Some(&b',');
        *at += 1;
        is.then_some(())
    };
    let fixed = |at: &mut usize| {
        let (whole, whole_digits) = number(at)?;
        if lines.get(*at) != Some(&b'.') {
            return (whole_digits <= 10).then(|| whole * 100_000_000);
        }
        *at += 1;
        let (part, places) = number(at)?;
        let scale = *POWERS.get(8_usize.checked_sub(places)?)?;
        (whole_digits <= 10).then(|| whole * 100_000_000 + part * scale)
    };
    let id = number(&mut at)?.0;
    comma(&mut at)?;
    let price = fixed(&mut at)?;
    comma(&mut at)?;
    let quantity = fixed(&mut at)?;
    comma(&mut at)?;
    let first_trade_id = number(&mut at)?.0;
    comma(&mut at)?;
    let last_trade_id = number(&mut at)?.0;
    comma(&mut at)?;
    let time = number(&mut at)?.0;
    comma(&mut at)?;
    let rest = lines.get(at..)?;
    let (is_buyer_maker, rest) = match rest {
        [b't' | b'T', b'r', b'u', b'e', rest @ ..] => (true, rest),
        [b'f' | b'F', b'a', b'l', b's', b'e', rest @ ..] => (false, rest),
        _ => return None,
    };
    let rest = match rest {
        [b',', b't' | b'T', b'r', b'u', b'e', rest @ ..] => rest,
        [b',', b'f' | b'F', b'a', b'l', b's', b'e', rest @ ..] => rest,
        rest => rest,
    };
    let [b'\n', rest @ ..] = rest else { return None };
    if price == 0 || last_trade_id < first_trade_id {
        return None;
    }
    let time_us = if time < MICROSECONDS_FROM { time * 1000 } else { time };
    let trade = Trade { id, price, quantity, first_trade_id, last_trade_id, time_us, is_buyer_maker };
    Some((trade, lines.len() - rest.len()))
}

const POWERS: [i64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    HEADERS.iter().any(|header| header.as_bytes() == line)
}

/// A row, or what is wrong with it.
fn parse(row: u64, line: &[u8]) -> Result<Trade, BadRow> {
    const COLUMNS: [&str; 8] = [
        "agg_trade_id",
        "price",
        "quantity",
        "first_trade_id",
        "last_trade_id",
        "transact_time",
        "is_buyer_maker",
        "is_best_match",
    ];
    let count = 1 + line.iter().filter(|byte| **byte == b',').count();
    if !(7..=8).contains(&count) {
        let problem = match (row, line.first()) {
            (1, Some(byte)) if !byte.is_ascii_digit() => "not a header of aggregate trades, and no row of them",
            _ if count < 7 => "fewer than 7 columns",
            _ => "more than 8 columns",
        };
        return Err(bad(row, None, line, problem));
    }
    let mut fields = [&line[..0]; 8];
    for (field, text) in fields.iter_mut().zip(line.split(|byte| *byte == b',')) {
        *field = text;
    }
    let wrong = |column: usize, problem| bad(row, Some(COLUMNS[column]), fields[column], problem);
    let whole = |column: usize| {
        let text = std::str::from_utf8(fields[column]).ok().filter(|text| !text.starts_with('+'));
        text.and_then(|text| text.parse::<i64>().ok()).ok_or_else(|| wrong(column, "not a whole number of 64 bits"))
    };
    let fixed = |column: usize| {
        decimal(fields[column]).map_err(|error| {
            wrong(
                column,
                match error {
                    BadDecimal::TooManyPlaces => "more than 8 decimal places",
                    BadDecimal::TooLarge => "too large",
                    _ => "not a decimal number",
                },
            )
        })
    };
    let flag = |column: usize| match fields[column] {
        b"true" | b"True" | b"TRUE" => Ok(true),
        b"false" | b"False" | b"FALSE" => Ok(false),
        _ => Err(wrong(column, "neither true nor false")),
    };
    let (id, price, quantity) = (whole(0)?, fixed(1)?, fixed(2)?);
    let (first_trade_id, last_trade_id, time) = (whole(3)?, whole(4)?, whole(5)?);
    let is_buyer_maker = flag(6)?;
    if count == 8 {
        flag(7)?;
    }
    if price <= 0 {
        return Err(wrong(1, "not above 0"));
    }
    if quantity < 0 {
        return Err(wrong(2, "below 0"));
    }
    if last_trade_id < first_trade_id {
        return Err(wrong(4, "before first_trade_id"));
    }
    let time_us = if time < MICROSECONDS_FROM { time.checked_mul(1000) } else { Some(time) };
    let time_us = time_us.filter(|time| *time >= 0).ok_or_else(|| wrong(5, "not a time"))?;
    Ok(Trade { id, price, quantity, first_trade_id, last_trade_id, time_us, is_buyer_maker })
}

fn bad(row: u64, column: Option<&'static str>, value: &[u8], problem: &'static str) -> BadRow {
    const SHOWN: usize = 60;
    let mut shown = value[..value.len().min(SHOWN)].escape_ascii().to_string();
    if value.len() > SHOWN {
        shown.push_str("...");
    }
    BadRow { row, column, value: shown, problem }
}
