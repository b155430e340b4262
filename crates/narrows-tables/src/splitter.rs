//! Blocks to rows of fields, wherever they are cut.

use csv_core::ReadRecordResult;

use crate::schema::Separator;

/// Longest row in bytes. The longest real ones, of GDELT's knowledge graph, have some hundred kilobytes.
pub(crate) const ROW_BYTES_MAX: usize = 1 << 20;

/// A row's fields, without what separated them.
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    /// Where each ends.
    ends: &'a [usize],
    /// Bytes between two.
    gap: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> &'a [u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] + self.gap };
        &self.bytes[start..self.ends[at]]
    }

    /// All of the row, as far as it is at hand.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What is read of a block.
pub(crate) enum Split<'a> {
    Row(Fields<'a>),
    /// Longer than a row may be, or of more columns.
    TooLong(&'a [u8]),
}

pub(crate) struct Splitter {
    separator: Separator,
    csv: csv_core::Reader,
    /// Of CSV, the fields of the row so far; of TSV, a row that was cut.
    bytes: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    ended: usize,
    /// What is left of a row that is too long is passed over.
    is_too_long: bool,
    /// csv-core has read a part of a row.
    is_within: bool,
}

impl Splitter {
    /// One for rows of so many columns.
    pub(crate) fn new(separator: Separator, columns: usize) -> Self {
        let bytes = match separator {
            Separator::Comma => vec![0; 4096],
            Separator::Tab => Vec::new(),
        };
        // One more than there are, so that a column too many is seen.
        let ends = vec![0; columns + 2];
        let csv = csv_core::Reader::new();
        Self { separator, csv, bytes, filled: 0, ends, ended: 0, is_too_long: false, is_within: false }
    }

    /// Gives the rows of a block, in order.
    pub(crate) fn split<E>(
        &mut self,
        block: &[u8],
        take: &mut impl FnMut(Split<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.separator {
            Separator::Comma => self.commas(block, take),
            Separator::Tab => self.tabs(block, take),
        }
    }

    /// The last row may have no line feed.
    pub(crate) fn finish<E>(&mut self, take: &mut impl FnMut(Split<'_>) -> Result<(), E>) -> Result<(), E> {
        match self.separator {
            // No input tells csv-core that there is no more: it gives the last row.
            Separator::Comma => self.commas(&[], take),
            Separator::Tab if self.bytes.is_empty() && !self.is_too_long => Ok(()),
            Separator::Tab => self.tabs(b"\n", take),
        }
    }

    fn commas<E>(&mut self, mut block: &[u8], take: &mut impl FnMut(Split<'_>) -> Result<(), E>) -> Result<(), E> {
        loop {
            if !self.is_within {
                self.plain(&mut block, take)?;
            }
            let Self { csv, bytes, filled, ends, ended, is_too_long, is_within, .. } = self;
            let (result, read, wrote, ends_wrote) = csv.read_record(block, &mut bytes[*filled..], &mut ends[*ended..]);
            *is_within |= read > 0;
            block = &block[read..];
            *filled += wrote;
            *ended += ends_wrote;
            match result {
                ReadRecordResult::InputEmpty => return Ok(()),
                ReadRecordResult::OutputFull if bytes.len() < ROW_BYTES_MAX => {
                    let longer = (bytes.len() * 2).min(ROW_BYTES_MAX);
                    bytes.resize(longer, 0);
                }
                // Of a row that is too long only the beginning is kept.
                ReadRecordResult::OutputFull => (*is_too_long, *filled) = (true, 256),
                ReadRecordResult::OutputEndsFull => (*is_too_long, *ended) = (true, 0),
                ReadRecordResult::Record | ReadRecordResult::End => {
                    let is_end = matches!(result, ReadRecordResult::End);
                    *is_within = false;
                    let (length, count) = (std::mem::take(filled), std::mem::take(ended));
                    let fields = Fields { bytes: &bytes[..length], ends: &ends[..count], gap: 0 };
                    let too_long = std::mem::take(is_too_long);
                    if is_end && count == 0 && !too_long {
                        return Ok(());
                    }
                    match too_long {
                        true => take(Split::TooLong(fields.bytes))?,
                        false => take(Split::Row(fields))?,
                    }
                    if is_end {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Rows at the beginning of a block that have no quotes are split at commas, which takes a third of the
    /// time; csv-core gets the rest, and what is cut.
    fn plain<E>(&mut self, block: &mut &[u8], take: &mut impl FnMut(Split<'_>) -> Result<(), E>) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', block) {
            let row = block[..end].strip_suffix(b"\r").unwrap_or(&block[..end]);
            if memchr::memchr2(b'"', b'\r', row).is_some() {
                return Ok(());
            }
            *block = &block[end + 1..];
            if !row.is_empty() {
                self.row(row, b',', take)?;
            }
        }
        Ok(())
    }

    fn tabs<E>(&mut self, block: &[u8], take: &mut impl FnMut(Split<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', block) {
            let piece = &block[start..end];
            start = end + 1;
            if self.bytes.is_empty() && !self.is_too_long {
                self.row(piece.strip_suffix(b"\r").unwrap_or(piece), b'\t', take)?;
                continue;
            }
            self.keep(piece);
            let row = std::mem::take(&mut self.bytes);
            match std::mem::take(&mut self.is_too_long) {
                true => take(Split::TooLong(&row))?,
                false => self.row(row.strip_suffix(b"\r").unwrap_or(&row), b'\t', take)?,
            }
            self.bytes = row;
            self.bytes.clear();
        }
        self.keep(&block[start..]);
        Ok(())
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = ROW_BYTES_MAX - self.bytes.len();
        self.is_too_long |= piece.len() > room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// A row in which nothing is quoted.
    fn row<E>(
        &mut self,
        row: &[u8],
        separator: u8,
        take: &mut impl FnMut(Split<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut count = 0;
        // Fields are short: a plain loop finds their ends faster than a search for each.
        for (at, byte) in row.iter().enumerate() {
            if *byte == separator && count < self.ends.len() {
                self.ends[count] = at;
                count += 1;
            }
        }
        if count < self.ends.len() {
            self.ends[count] = row.len();
            count += 1;
        } // else: as many as show that there are too many
        take(Split::Row(Fields { bytes: row, ends: &self.ends[..count], gap: 1 }))
    }
}
