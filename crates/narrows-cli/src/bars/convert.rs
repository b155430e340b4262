//! Rows of bars to a typed table, once they are all there.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use narrows_bars::csv::HEADER;
use narrows_tables::{Column, Form, Header, Kind, Piece, Schema, Separator, Table, TableFile};

use crate::tables::TempPages;

/// Writes the rows of `from` as a table to `to`, which then is on the disk. `of` says what they are of.
pub(super) fn to_table(form: Form, from: &Path, to: &Path, of: &str) -> io::Result<()> {
    let (schema, mut rows) = (schema(), File::open(from)?);
    let mut table = Table::new(&schema, None).map_err(io::Error::other)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let pages = Arc::new(TempPages::new(folder)?);
    let to = File::create(to)?;
    let mut file = TableFile::new(form, to, &schema, &table, Some(pages), of).map_err(io::Error::other)?;
    let mut keep = |piece: Piece<'_>| match piece {
        Piece::Batch(batch) => file.write(&batch).map_err(io::Error::other),
        Piece::Bad(bad, _) => Err(io::Error::other(format!("{}: {bad}", from.display()))),
    };
    let mut block = vec![0; 64 << 10];
    loop {
        let read = rows.read(&mut block)?;
        if read == 0 {
            break;
        }
        table.push(&block[..read], &mut keep)?;
    }
    table.finish(&mut keep)?;
    file.finish(table.rows(), None).map_err(io::Error::other)?.sync_all()
}

/// The columns of the text. Volumes and turnovers are wider than 64 bits.
fn schema() -> Schema {
    let names = HEADER.trim_end().split(',');
    let columns = names.enumerate().map(|(at, name)| {
        let kind = match name {
            _ if name.contains("volume_e8") || name.contains("turnover_e16") => Kind::Decimal { scale: 0 },
            "open_time_us" | "close_time_us" => Kind::TimestampUs,
            _ if at <= LAST_WHOLE => Kind::Int64,
            _ => Kind::Float64,
        };
        Column::new(name, kind)
    });
    Schema::new("narrows.bars", Separator::Comma, Header::Required, columns.collect())
}

/// The place of `duration_us`; floats are behind it.
const LAST_WHOLE: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_text() {
        let schema = schema();
        let kind = |name: &str| schema.columns.iter().find(|column| *column.name == *name).map(|column| column.kind);
        assert_eq!(schema.columns.len(), 31);
        assert_eq!(kind("duration_us"), Some(Kind::Int64));
        assert_eq!(kind("ofi"), Some(Kind::Float64));
        assert_eq!(kind("buy_turnover_e16"), Some(Kind::Decimal { scale: 0 }));
        assert_eq!(kind("turnover_imbalance"), Some(Kind::Float64));
        assert_eq!(kind("open_time_us"), Some(Kind::TimestampUs));
    }
}
