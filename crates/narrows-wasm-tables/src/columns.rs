//! Batches as arrays of JavaScript.

use arrow_array::{
    Array as _, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
        TimestampMillisecondType,
    },
};
use js_sys::{Array, BigInt64Array, Float64Array, Int32Array, Uint8Array};
use wasm_bindgen::JsValue;

/// The number of rows, then of each column: its name, what it holds, which rows are there (or all), and its
/// values: a typed array, strings, text as bytes and where they end, or keys and what they stand for.
pub(crate) fn of(batch: &RecordBatch) -> Array {
    let columns: Array = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let (kind, values, more) = values(column);
            let present = column.nulls().map_or(JsValue::UNDEFINED, |nulls| {
                Uint8Array::from(&nulls.iter().map(u8::from).collect::<Vec<_>>()[..]).into()
            });
            [JsValue::from(field.name()), kind.into(), present, values, more].into_iter().collect::<Array>()
        })
        .collect();
    Array::of2(&(batch.num_rows() as f64).into(), &columns)
}

/// What a column holds, and its values. Only kinds that `narrows_tables` makes.
fn values(column: &ArrayRef) -> (&'static str, JsValue, JsValue) {
    fn whole<T: ArrowPrimitiveType<Native = i64>>(column: &ArrayRef) -> JsValue {
        BigInt64Array::from(&column.as_primitive::<T>().values()[..]).into()
    }
    let any = column.as_any();
    let none = JsValue::UNDEFINED;
    if any.is::<arrow_array::Int64Array>() {
        ("int64", whole::<Int64Type>(column), none)
    } else if any.is::<arrow_array::TimestampMillisecondArray>() {
        ("timestamp_ms", whole::<TimestampMillisecondType>(column), none)
    } else if any.is::<arrow_array::TimestampMicrosecondArray>() {
        ("timestamp_us", whole::<TimestampMicrosecondType>(column), none)
    } else if any.is::<arrow_array::Float64Array>() {
        ("float64", Float64Array::from(&column.as_primitive::<Float64Type>().values()[..]).into(), none)
    } else if any.is::<arrow_array::BooleanArray>() {
        let values: Vec<u8> = column.as_boolean().values().iter().map(u8::from).collect();
        ("boolean", Uint8Array::from(&values[..]).into(), none)
    } else if let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() {
        let text = |row| JsValue::from(decimals.value_as_string(row));
        ("decimal", (0..decimals.len()).map(text).collect::<Array>().into(), none)
    } else if let Some(few) = column.as_dictionary_opt::<Int32Type>() {
        let values: Array =
            few.values().as_string::<i32>().iter().map(|value| JsValue::from(value.unwrap_or(""))).collect();
        ("dictionary", Int32Array::from(&few.keys().values()[..]).into(), values.into())
    } else {
        let text = column.as_string::<i32>();
        ("utf8", Uint8Array::from(text.value_data()).into(), Int32Array::from(text.value_offsets()).into())
    }
}
