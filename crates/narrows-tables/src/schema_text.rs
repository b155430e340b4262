//! Schemas as text, for tables of the user's own.

use std::{error::Error, fmt, str::FromStr};

use crate::schema::{Column, Header, Kind, Schema, Separator};

/// Text that is no schema.
///
/// ```
/// let error = "float64 price\nflaot64 amount".parse::<narrows_tables::Schema>().unwrap_err();
/// assert!(error.to_string().starts_with("line 2, \"flaot64\": no kind of column; there are int64, float64,"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadSchema(String);

impl fmt::Display for BadSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadSchema {}

/// Kinds but for decimals, which have their scale behind them: `decimal(8)`.
const KINDS: [Kind; 8] = [
    Kind::Int64,
    Kind::Float64,
    Kind::Utf8,
    Kind::Dictionary,
    Kind::Boolean,
    Kind::TimestampMs,
    Kind::TimestampUs,
    Kind::Timestamp,
];

/// A line for each column: its kind, with a question mark if empty fields are nulls, and its name, which is
/// the rest of the line. Before them may stand what is not as in most files. Behind a `#` are comments.
///
/// ```
/// use narrows_tables::{Header, Kind, Schema, Separator};
///
/// let text = "
///     name: acme.trades
///     separator: tab      # comma
///     header: none        # required, or detected
///     timestamp_us  time
///     decimal(8)    price
///     utf8?         trade id
/// ";
/// let schema: Schema = text.parse()?;
/// assert_eq!((schema.separator, schema.header), (Separator::Tab, Header::None));
/// assert_eq!(schema.columns[1].kind, Kind::Decimal { scale: 8 });
/// assert_eq!((&*schema.columns[2].name, schema.columns[2].is_nullable), ("trade id", true));
/// # Ok::<_, narrows_tables::BadSchema>(())
/// ```
impl FromStr for Schema {
    type Err = BadSchema;

    fn from_str(text: &str) -> Result<Self, BadSchema> {
        let mut schema = Self::new("own", Separator::Comma, Header::Required, Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            // A name may have a # in it; a comment stands behind a space or a tab.
            let comment = line.find(" #").into_iter().chain(line.find("\t#")).min();
            let line = line[..comment.unwrap_or(line.len())].trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            let wrong = |what: &str| {
                let word: String = word.chars().take(40).collect();
                BadSchema(format!("line {number}, {word:?}: {what}"))
            };
            match (word, rest) {
                (_, "") => return Err(wrong("nothing stands behind it")),
                ("name:", name) => schema.name = name.into(),
                ("separator:", "comma") => schema.separator = Separator::Comma,
                ("separator:", "tab") => schema.separator = Separator::Tab,
                ("separator:", _) => return Err(wrong("neither comma nor tab")),
                ("header:", "required") => schema.header = Header::Required,
                ("header:", "none") => schema.header = Header::None,
                ("header:", "detected") => schema.header = Header::Detected,
                ("header:", _) => return Err(wrong("none of required, none, detected")),
                (kind, name) => {
                    let (kind, is_nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
                    let kind = kind_of(kind).ok_or_else(|| {
                        let names = KINDS.map(|kind| kind.to_string());
                        wrong(&format!("no kind of column; there are {}, decimal(0) to decimal(38)", names.join(", ")))
                    })?;
                    let column = Column::new(name, kind);
                    schema.columns.push(if is_nullable { column.nullable() } else { column });
                }
            }
        }
        match schema.columns.is_empty() {
            true => Err(BadSchema("there are no columns in it: a line such as \"float64 price\" is one".into())),
            false => Ok(schema),
        }
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    let scale = word.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
    match scale {
        Some(scale) => scale.parse().ok().filter(|scale| (0..=38).contains(scale)).map(|scale| Kind::Decimal { scale }),
        None => KINDS.into_iter().find(|kind| kind.to_string() == word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_schema_is_refused_with_its_line() {
        let message = |text: &str| text.parse::<Schema>().unwrap_err().to_string();
        assert_eq!(message(""), "there are no columns in it: a line such as \"float64 price\" is one");
        assert_eq!(message("\nfloat64"), "line 2, \"float64\": nothing stands behind it");
        assert_eq!(message("header: some\n"), "line 1, \"header:\": none of required, none, detected");
        assert_eq!(message("separator: ;"), "line 1, \"separator:\": neither comma nor tab");
        for bad in ["decimal a", "decimal(39) a", "decimal(-1) a", "decimal(8 a", "Int64 a", "time: a"] {
            assert!(message(bad).contains("no kind of column"), "{bad}");
        }
    }

    #[test]
    fn every_kind_has_a_name() {
        let text: String = KINDS.iter().map(|kind| format!("{kind}? {kind}\t# one\n{kind} a#{kind} # two\n")).collect();
        let schema: Schema = text.parse().unwrap();
        let kinds = KINDS.into_iter().flat_map(|kind| [kind, kind]);
        assert!(schema.columns.iter().map(|column| column.kind).eq(kinds));
        assert_eq!(&*schema.columns[1].name, "a#int64", "a name may have it");
    }
}
