//! Columns in the making: fields in, arrays out.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, types::Int32Type,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::{
    number::{decimal, float, whole},
    schema::{Column, Kind},
};

/// Most different values of a column of few, in a batch; beyond, the batch ends.
const DIFFERENT_MAX: usize = 4096;

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
        values: Vec<Box<str>>,
        last: usize,
    },
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
            Kind::Dictionary => Data::Few { keys: Vec::new(), values: Vec::new(), last: 0 },
        };
        Self { column, data, present: Vec::new() }
    }

    /// Puts in the value of a field.
    pub(crate) fn push(&mut self, field: &[u8]) -> Result<(), &'static str> {
        let Self { column, data, present } = self;
        if let Data::Few { keys, values, last } = data
            && values.get(*last).is_some_and(|value| value.as_bytes() == field)
        {
            // Mostly the same as before, which was looked at then.
            keys.push(*last as i32);
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
        let present = std::mem::take(&mut self.present);
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
            (Data::Bool(values), _) => Arc::new(BooleanArray::new(std::mem::take(values).into(), nulls)),
            (Data::Text { bytes, ends }, _) => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.append(ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::new(offsets, std::mem::take(bytes).into(), nulls))
            }
            (Data::Few { keys, values, last }, _) => {
                *last = 0;
                let values = StringArray::from_iter_values(values.drain(..));
                let keys = arrow_array::PrimitiveArray::<Int32Type>::new(take(keys), nulls);
                Arc::new(DictionaryArray::new(keys, Arc::new(values)))
            }
        }
    }
}

fn take<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(std::mem::take(values))
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
            Self::Decimal(values, scale) => values.push(decimal(field, *scale)?),
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
            Self::Few { keys, values, last } => {
                let known = values.iter().position(|value| value.as_bytes() == field);
                *last = match known {
                    Some(at) => at,
                    None => {
                        values.push(utf8(field)?.into());
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
            Self::Few { keys, .. } => keys.push(0),
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
            // A value that no row has is no harm.
            Self::Few { keys, .. } => drop(keys.pop()),
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
