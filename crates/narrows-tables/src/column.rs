//! Columns in the making: fields in, arrays out.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, types::Int32Type,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use narrows_numbers::{BadDecimal, decimal, float, float_at, whole, whole_at};

use crate::schema::{Column, Kind};

/// Most different values of a column of few, in a batch; beyond, the batch ends.
const DIFFERENT_MAX: usize = 4096;

/// Values of a column of few that are looked for one by one.
const NEAR: usize = 4;
/// Times below this are milliseconds.
const MICROSECONDS_FROM: i64 = 10_000_000_000_000;

/// A column in the making. Values can be taken back, so that a row is put in whole or not at all.
pub(crate) struct Builder {
    column: Column,
    data: Data,
    /// Where the column may be null: whether each value is there.
    present: Vec<bool>,
}

enum Data {
    Whole(Vec<i64>),
    /// Microseconds, of numbers that may be milliseconds.
    Time(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>, i8),
    Bool(Vec<bool>),
    Text {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
    Few {
        keys: Vec<i32>,
        values: Vec<Value>,
        last: usize,
        /// The last value is of the last row alone.
        is_new: bool,
    },
}

/// A value of a column of few.
struct Value {
    text: Box<str>,
    /// Its first bytes as a number, and which of its bits count: none do of a longer value, nor of one that has
    /// to be quoted, which unquoted is more than one field.
    word: u128,
    mask: u128,
}

impl Value {
    fn new(text: &str) -> Self {
        let mut bytes = [0; size_of::<u128>()];
        let is_plain = !text.contains([',', '\t', '"', '\n', '\r']);
        let mask = match bytes.get_mut(..text.len()).filter(|_| is_plain) {
            Some(short) => {
                short.copy_from_slice(text.as_bytes());
                u128::MAX.checked_shr(128 - 8 * text.len() as u32).unwrap_or(0)
            }
            None => 0,
        };
        Self { text: text.into(), word: u128::from_le_bytes(bytes), mask }
    }
}

/// Which of the first values some bytes begin with, before this one; the last one is looked at first. Values
/// of up to 16 bytes are compared as one number.
fn near(values: &[Value], last: usize, bytes: &[u8], plain: Plain) -> Option<usize> {
    let found = u128::from_le_bytes(*bytes.first_chunk()?);
    let is_here =
        |value: &Value| value.mask != 0 && found & value.mask == value.word && plain.ends_at(bytes, value.text.len());
    if values.get(last).is_some_and(is_here) {
        return Some(last);
    }
    values.iter().take(NEAR).position(is_here)
}

/// Where a field lies in text that is not split yet: before this byte, and nothing in it is quoted.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) end: u8,
    /// What stands between fields: before the last one's end, it shows that there are too many.
    pub(crate) between: u8,
    /// Whether a field with a quote in it is to be looked at: in CSV.
    pub(crate) has_quotes: bool,
}

impl Plain {
    /// Whether a field of this length ends there.
    fn ends_at(self, bytes: &[u8], length: usize) -> bool {
        bytes.get(length) == Some(&self.end)
    }

    /// The length of the field at the beginning of some bytes, and whether it is ASCII. `None` if it is not
    /// plain, or not all there.
    pub(crate) fn length(self, bytes: &[u8]) -> Option<(usize, bool)> {
        let ends =
            |byte: u8| byte == self.between || matches!(byte, b'\n' | b'\r') || (byte == b'"' && self.has_quotes);
        let (mut at, mut is_ascii) = (0, true);
        while let Some(eight) = bytes[at..].first_chunk() {
            let word = u64::from_le_bytes(*eight);
            let quotes = if self.has_quotes { is_any(word, b'"') } else { 0 };
            let found = is_any(word, self.between) | is_any(word, b'\n') | is_any(word, b'\r') | quotes;
            let before = found.trailing_zeros() as usize / 8;
            is_ascii &= eight[..before].is_ascii();
            at += before;
            if found != 0 {
                return (bytes[at] == self.end).then_some((at, is_ascii));
            }
        }
        let length = at + bytes[at..].iter().position(|byte| ends(*byte))?;
        is_ascii &= bytes[at..length].is_ascii();
        (bytes[length] == self.end).then_some((length, is_ascii))
    }
}

/// Of the lowest byte of a word that is this one, the high bit; above it, bits have no meaning (Mycroft's
/// test for a zero byte).
#[inline]
fn is_any(word: u64, byte: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeroed = word ^ (ONES * u64::from(byte));
    zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7)
}

impl Builder {
    pub(crate) fn new(column: Column) -> Self {
        let data = match column.kind {
            Kind::Int64 | Kind::TimestampMs | Kind::TimestampUs => Data::Whole(Vec::new()),
            Kind::Timestamp => Data::Time(Vec::new()),
            Kind::Float64 => Data::Float(Vec::new()),
            Kind::Decimal { scale } => Data::Decimal(Vec::new(), scale),
            Kind::Boolean => Data::Bool(Vec::new()),
            Kind::Utf8 => Data::Text { bytes: Vec::new(), ends: Vec::new() },
            Kind::Dictionary => Data::Few { keys: Vec::new(), values: Vec::new(), last: 0, is_new: false },
        };
        Self { column, data, present: Vec::new() }
    }

    /// Puts in the value of a field.
    pub(crate) fn push(&mut self, field: &[u8]) -> Result<(), &'static str> {
        let Self { column, data, present } = self;
        if let Data::Few { keys, values, last, is_new } = data
            && values.get(*last).is_some_and(|value| value.text.as_bytes() == field)
        {
            // Mostly the same as before, which was looked at then.
            keys.push(*last as i32);
            *is_new = false;
            if column.is_nullable {
                present.push(true);
            }
            return Ok(());
        }
        if let Some(expected) = &column.expected
            && field != expected.as_bytes()
        {
            return Err("not what was asked for");
        }
        let is_there = !field.is_empty() || !column.is_nullable;
        if !is_there {
            data.push_null();
        } else {
            data.push(field)?;
        }
        if column.is_nullable {
            present.push(is_there);
        }
        Ok(())
    }

    /// Puts in the value of the plain field at the beginning of some bytes, whose length it gives. `None`, and
    /// nothing is put in, if it takes a closer look.
    pub(crate) fn push_plain(&mut self, bytes: &[u8], plain: Plain) -> Option<usize> {
        let Self { column, data, present } = self;
        let known = match data {
            Data::Few { keys, values, last, is_new } => near(values, *last, bytes, plain).map(|at| {
                (*last, *is_new) = (at, false);
                keys.push(at as i32);
                values[at].text.len()
            }),
            _ if column.expected.is_some() => None,
            Data::Whole(values) => {
                whole_at(bytes).filter(|(_, length)| plain.ends_at(bytes, *length)).map(|(value, length)| {
                    values.push(value);
                    length
                })
            }
            Data::Float(values) => {
                float_at(bytes).filter(|(_, length)| plain.ends_at(bytes, *length)).map(|(value, length)| {
                    values.push(value);
                    length
                })
            }
            Data::Text { bytes: text, ends } => {
                let (length, is_ascii) = plain.length(bytes)?;
                if !is_ascii {
                    utf8(&bytes[..length]).ok()?;
                }
                let is_there = length > 0 || !column.is_nullable;
                is_there.then(|| {
                    text.extend_from_slice(&bytes[..length]);
                    ends.push(text.len() as i32);
                    length
                })
            }
            _ => None,
        };
        if let Some(length) = known {
            if column.is_nullable {
                present.push(true);
            }
            return Some(length);
        }
        let (length, _) = plain.length(bytes)?;
        self.push(&bytes[..length]).ok()?;
        Some(length)
    }

    /// Takes the last value back.
    pub(crate) fn pop(&mut self) {
        self.data.pop();
        if self.column.is_nullable {
            self.present.pop();
        }
    }

    /// Whether it has as many different values as there may be.
    pub(crate) fn is_full(&self) -> bool {
        matches!(&self.data, Data::Few { values, .. } if values.len() >= DIFFERENT_MAX)
    }

    /// What has come together; the column then is empty.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let present = renewed(&mut self.present);
        let nulls = self.column.is_nullable.then(|| NullBuffer::from(present)).filter(|nulls| nulls.null_count() > 0);
        match (&mut self.data, self.column.kind) {
            (Data::Whole(values), Kind::TimestampMs) => {
                Arc::new(TimestampMillisecondArray::new(take(values), nulls).with_timezone("UTC"))
            }
            (Data::Whole(values), Kind::TimestampUs) | (Data::Time(values), _) => {
                Arc::new(TimestampMicrosecondArray::new(take(values), nulls).with_timezone("UTC"))
            }
            (Data::Whole(values), _) => Arc::new(Int64Array::new(take(values), nulls)),
            (Data::Float(values), _) => Arc::new(Float64Array::new(take(values), nulls)),
            (Data::Decimal(values, scale), _) => {
                let array = Decimal128Array::new(take(values), nulls);
                // The scale is that of the column, whose digits were counted.
                Arc::new(array.with_precision_and_scale(38, *scale).unwrap_or_else(|error| panic!("{error}")))
            }
            (Data::Bool(values), _) => Arc::new(BooleanArray::new(renewed(values).into(), nulls)),
            (Data::Text { bytes, ends }, _) => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.append(ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::new(offsets, renewed(bytes).into(), nulls))
            }
            (Data::Few { keys, values, last, is_new }, _) => {
                (*last, *is_new) = (0, false);
                let values = StringArray::from_iter_values(values.drain(..).map(|value| value.text));
                let keys = arrow_array::PrimitiveArray::<Int32Type>::new(take(keys), nulls);
                Arc::new(DictionaryArray::new(keys, Arc::new(values)))
            }
        }
    }
}

fn take<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(renewed(values))
}

/// What has come together, in whose place there is room for as much.
fn renewed<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

impl Data {
    fn push(&mut self, field: &[u8]) -> Result<(), &'static str> {
        match self {
            Self::Whole(values) => {
                let none = if field.is_empty() { "empty" } else { "not a whole number of 64 bits" };
                values.push(whole(field).ok_or(none)?);
            }
            Self::Time(values) => {
                let number = whole(field).ok_or(if field.is_empty() { "empty" } else { "not a time" })?;
                let time = if number < MICROSECONDS_FROM { number.checked_mul(1000) } else { Some(number) };
                values.push(time.ok_or("not a time")?);
            }
            Self::Float(values) => {
                let none = if field.is_empty() { "empty" } else { "not a number" };
                values.push(float(field).ok_or(none)?);
            }
            Self::Decimal(values, scale) => values.push(decimal(field, *scale).map_err(|error| match error {
                BadDecimal::TooManyPlaces => "more decimal places than the column has",
                BadDecimal::TooLarge => "more digits than the column has",
                _ => "not a decimal number",
            })?),
            Self::Bool(values) => values.push(match field {
                b"true" | b"True" | b"TRUE" => true,
                b"false" | b"False" | b"FALSE" => false,
                _ => return Err("neither true nor false"),
            }),
            Self::Text { bytes, ends } => {
                utf8(field)?;
                bytes.extend_from_slice(field);
                // A batch ends long before 2 GiB.
                ends.push(bytes.len() as i32);
            }
            Self::Few { keys, values, last, is_new } => {
                let text = utf8(field)?;
                let known = values.iter().position(|value| *value.text == *text);
                *is_new = known.is_none();
                *last = match known {
                    Some(at) => at,
                    None => {
                        values.push(Value::new(text));
                        values.len() - 1
                    }
                };
                keys.push(*last as i32);
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Whole(values) | Self::Time(values) => values.push(0),
            Self::Float(values) => values.push(0.0),
            Self::Decimal(values, _) => values.push(0),
            Self::Bool(values) => values.push(false),
            Self::Text { bytes, ends } => ends.push(bytes.len() as i32),
            Self::Few { keys, is_new, .. } => {
                keys.push(0);
                *is_new = false;
            }
        }
    }

    fn pop(&mut self) {
        match self {
            Self::Whole(values) | Self::Time(values) => drop(values.pop()),
            Self::Float(values) => drop(values.pop()),
            Self::Decimal(values, _) => drop(values.pop()),
            Self::Bool(values) => drop(values.pop()),
            Self::Text { bytes, ends } => {
                ends.pop();
                bytes.truncate(ends.last().map_or(0, |end| *end as usize));
            }
            // Rows that are refused leave no value behind: there may be any number of them.
            Self::Few { keys, values, last, is_new } => {
                keys.pop();
                if std::mem::take(is_new) {
                    values.pop();
                    *last = 0;
                }
            }
        }
    }
}

fn utf8(field: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(field).map_err(|_| "not UTF-8")
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    #[test]
    fn values_are_put_in_or_refused_and_can_be_taken_back() {
        let mut text = Builder::new(Column::new("t", Kind::Utf8).nullable());
        for field in ["ä", "", "b"] {
            text.push(field.as_bytes()).unwrap();
        }
        text.pop();
        text.push(b"c").unwrap();
        assert_eq!(text.push(b"\xff"), Err("not UTF-8"));
        let array = text.finish();
        let array = array.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(array.iter().collect::<Vec<_>>(), [Some("ä"), None, Some("c")]);

        let mut few = Builder::new(Column::new("f", Kind::Dictionary).expected("x"));
        assert_eq!(few.push(b"y"), Err("not what was asked for"));
        few.push(b"x").unwrap();
        few.push(b"x").unwrap();
        assert_eq!(few.push(b"y"), Err("not what was asked for"));
        assert_eq!(few.finish().len(), 2);

        let push = |kind, field: &[u8]| Builder::new(Column::new("c", kind)).push(field);
        assert_eq!(push(Kind::Float64, b""), Err("empty"));
        assert_eq!(push(Kind::TimestampUs, b"soon"), Err("not a whole number of 64 bits"));
        assert_eq!(push(Kind::Timestamp, b"-9223372036854775808"), Err("not a time"));
        let mut times = Builder::new(Column::new("t", Kind::Timestamp));
        for field in ["1585699209920", "1585699209920001", "0"] {
            times.push(field.as_bytes()).unwrap();
        }
        let times = times.finish();
        let times = times.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
        assert_eq!(times.values()[..], [1_585_699_209_920_000, 1_585_699_209_920_001, 0]);
        assert_eq!(push(Kind::Boolean, b"1"), Err("neither true nor false"));
        assert_eq!(push(Kind::Boolean, b"True"), Ok(()));
        assert_eq!(push(Kind::Utf8, b""), Ok(()), "the empty text");
    }
}
