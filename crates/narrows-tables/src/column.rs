//! Fields to the values of typed columns.

use std::sync::Arc;

use arrow_array::{
    ArrayRef,
    builder::{
        BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder, StringDictionaryBuilder,
        TimestampMicrosecondBuilder, TimestampMillisecondBuilder,
    },
    types::Int32Type,
};

use crate::schema::{Column, Kind};

/// A field that has been read, and not yet put into its column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Whole(i64),
    Float(f64),
    Decimal(i128),
    Bool(bool),
    /// The field itself, which is UTF-8.
    Text,
}

/// Reads a field as a column's value.
pub(crate) fn value(column: &Column, field: &[u8]) -> Result<Value, &'static str> {
    if let Some(expected) = &column.expected
        && field != expected.as_bytes()
    {
        return Err("not what was asked for");
    }
    let is_text = matches!(column.kind, Kind::Utf8 | Kind::Dictionary);
    if field.is_empty() {
        return match (column.is_nullable, is_text) {
            (true, _) => Ok(Value::Null),
            (false, true) => Ok(Value::Text),
            (false, false) => Err("empty"),
        };
    }
    match column.kind {
        Kind::Int64 | Kind::TimestampMs | Kind::TimestampUs => {
            whole(field).map(Value::Whole).ok_or("not a whole number of 64 bits")
        }
        Kind::Float64 => float(field).map(Value::Float).ok_or("not a number"),
        Kind::Decimal { scale } => decimal(field, scale).map(Value::Decimal),
        Kind::Boolean => match field {
            b"true" | b"True" | b"TRUE" => Ok(Value::Bool(true)),
            b"false" | b"False" | b"FALSE" => Ok(Value::Bool(false)),
            _ => Err("neither true nor false"),
        },
        Kind::Utf8 | Kind::Dictionary => match std::str::from_utf8(field) {
            Ok(_) => Ok(Value::Text),
            Err(_) => Err("not UTF-8"),
        },
    }
}

fn whole(field: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Downwards, for there is one more number below zero than above.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// Digits, a point, an exponent; no `inf`, no `nan`, no plus at the beginning.
fn float(field: &[u8]) -> Option<f64> {
    let is_number = matches!(field, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..]);
    let text = std::str::from_utf8(field).ok().filter(|_| is_number)?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn decimal(field: &[u8], scale: i8) -> Result<i128, &'static str> {
    const NO_NUMBER: &str = "not a decimal number";
    let (is_negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut value, mut places, mut count) = (0_i128, None, 0);
    for byte in digits {
        match (byte, &mut places) {
            (b'0'..=b'9', places) => {
                if let Some(places) = places {
                    *places += 1;
                    if *places > scale {
                        return Err("more decimal places than the column has");
                    }
                }
                count += 1;
                value = value * 10 + i128::from(byte - b'0');
                if value >= LARGEST {
                    return Err("more digits than the column has");
                }
            }
            (b'.', places @ None) if count > 0 => *places = Some(0),
            _ => return Err(NO_NUMBER),
        }
    }
    if count == 0 || places == Some(0) {
        return Err(NO_NUMBER);
    }
    for _ in places.unwrap_or(0)..scale {
        value *= 10;
        if value >= LARGEST {
            return Err("more digits than the column has");
        }
    }
    Ok(if is_negative { -value } else { value })
}

/// Beyond 38 digits.
const LARGEST: i128 = 10_i128.pow(38);

/// A column in the making.
pub(crate) enum Builder {
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, i8),
    Utf8(StringBuilder),
    Dictionary(StringDictionaryBuilder<Int32Type>),
    Boolean(BooleanBuilder),
    Milliseconds(TimestampMillisecondBuilder),
    Microseconds(TimestampMicrosecondBuilder),
}

impl Builder {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Int64 => Self::Int64(Int64Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Decimal { scale } => Self::Decimal(Decimal128Builder::new(), scale),
            Kind::Utf8 => Self::Utf8(StringBuilder::new()),
            Kind::Dictionary => Self::Dictionary(StringDictionaryBuilder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::TimestampMs => Self::Milliseconds(TimestampMillisecondBuilder::new()),
            Kind::TimestampUs => Self::Microseconds(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Puts in a value of the column's own kind; `field` is what it was read of.
    pub(crate) fn append(&mut self, value: Value, field: &[u8]) {
        // What is no text was never asked to be; what is, has been checked.
        let text = || std::str::from_utf8(field).unwrap_or_default();
        match (self, value) {
            (Self::Int64(column), Value::Whole(value)) => column.append_value(value),
            (Self::Milliseconds(column), Value::Whole(value)) => column.append_value(value),
            (Self::Microseconds(column), Value::Whole(value)) => column.append_value(value),
            (Self::Float64(column), Value::Float(value)) => column.append_value(value),
            (Self::Decimal(column, _), Value::Decimal(value)) => column.append_value(value),
            (Self::Boolean(column), Value::Bool(value)) => column.append_value(value),
            (Self::Utf8(column), Value::Text) => column.append_value(text()),
            (Self::Dictionary(column), Value::Text) => column.append_value(text()),
            (column, _) => column.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Int64(column) => column.append_null(),
            Self::Float64(column) => column.append_null(),
            Self::Decimal(column, _) => column.append_null(),
            Self::Utf8(column) => column.append_null(),
            Self::Dictionary(column) => column.append_null(),
            Self::Boolean(column) => column.append_null(),
            Self::Milliseconds(column) => column.append_null(),
            Self::Microseconds(column) => column.append_null(),
        }
    }

    /// What has come together; the column then is empty.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int64(column) => Arc::new(column.finish()),
            Self::Float64(column) => Arc::new(column.finish()),
            Self::Decimal(column, scale) => {
                let array = column.finish();
                // 38 digits, and a scale that was taken from a schema of such a column.
                Arc::new(array.with_precision_and_scale(38, *scale).unwrap_or_else(|error| panic!("{error}")))
            }
            Self::Utf8(column) => Arc::new(column.finish()),
            Self::Dictionary(column) => Arc::new(column.finish()),
            Self::Boolean(column) => Arc::new(column.finish()),
            Self::Milliseconds(column) => Arc::new(column.finish().with_timezone("UTC")),
            Self::Microseconds(column) => Arc::new(column.finish().with_timezone("UTC")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_exact_or_refused() {
        let of = |kind, field: &str| value(&Column::new("c", kind), field.as_bytes());
        assert_eq!(of(Kind::Int64, "-9223372036854775808"), Ok(Value::Whole(i64::MIN)));
        assert_eq!(of(Kind::Int64, "9223372036854775807"), Ok(Value::Whole(i64::MAX)));
        for bad in ["9223372036854775808", "+1", "1.0", "-", " 1", "1e3"] {
            assert!(of(Kind::Int64, bad).is_err(), "{bad}");
        }
        assert_eq!(of(Kind::Float64, "6416.5"), Ok(Value::Float(6416.5)));
        assert_eq!(of(Kind::Float64, "-1e-7"), Ok(Value::Float(-1e-7)));
        for bad in ["nan", "inf", "+1", "1,5", "1e999", "0x1", "-"] {
            assert!(of(Kind::Float64, bad).is_err(), "{bad}");
        }
        let eight = Kind::Decimal { scale: 8 };
        assert_eq!(of(eight, "-0.00000001"), Ok(Value::Decimal(-1)));
        assert_eq!(of(eight, "12"), Ok(Value::Decimal(1_200_000_000)));
        for bad in ["0.000000001", ".5", "5.", "1.2.3", "1e5", &"9".repeat(31)] {
            assert!(of(eight, bad).is_err(), "{bad}");
        }
        assert_eq!(of(Kind::Boolean, "False"), Ok(Value::Bool(false)));
        assert_eq!(of(Kind::Utf8, ""), Ok(Value::Text));
        assert_eq!(of(Kind::Float64, ""), Err("empty"));
        assert!(value(&Column::new("c", Kind::Utf8), b"\xff").is_err());
        assert_eq!(value(&Column::new("c", Kind::Float64).nullable(), b""), Ok(Value::Null));
        assert!(value(&Column::new("c", Kind::Dictionary).expected("deribit"), b"binance").is_err());
    }
}
