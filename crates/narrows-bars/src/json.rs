//! As much of JSON as a checkpoint needs: one object of whole numbers, booleans and null.

use std::fmt::Write;

/// Writes an object, field by field.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".into())
    }

    pub(crate) fn field(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Names and values of an object of numbers, booleans and nulls. `None` if it is anything else.
pub(crate) fn fields(text: &str) -> Option<Vec<(&str, &str)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let pairs = inner.split(',').map(|pair| {
        let (name, value) = pair.split_once(':')?;
        let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
        let value = value.trim();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_value = !value.is_empty() && value.bytes().all(is_plain);
        (is_value && !name.contains(['"', '\\'])).then_some((name, value))
    });
    pairs.collect()
}
