//! Blocks to rows of fields, wherever they are cut.

use csv_core::ReadRecordResult;

use crate::schema::Separator;

/// Longest row in bytes. The longest real ones, of GDELT's knowledge graph, have some hundred kilobytes.
pub(crate) const ROW_BYTES_MAX: usize = 1 << 20;

/// Of a row that is longer, so many bytes are kept to be shown.
const TOO_LONG_SHOWN: usize = 256;

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

/// Takes what a splitter reads.
pub(crate) trait Rows {
    /// Why it takes no more.
    type Error;

    /// Takes the row at the beginning of some bytes if it is a plain one, all there, and as it should be; its
    /// length, or `None` if it is to be split and looked at.
    fn plain(&mut self, bytes: &[u8]) -> Result<Option<usize>, Self::Error>;

    /// Takes a row.
    fn row(&mut self, row: Split<'_>) -> Result<(), Self::Error>;
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
    /// Bytes of a byte order mark that the file has begun with; `None` behind its first bytes.
    mark: Option<usize>,
}

/// What some programs begin a file with, to say that it is UTF-8 (RFC 3629, section 6).
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Splitter {
    /// One for rows of so many columns.
    pub(crate) fn new(separator: Separator, columns: usize) -> Self {
        let bytes = match separator {
            Separator::Comma => vec![0; 4096],
            Separator::Tab => Vec::new(),
        };
        // One more than there are, so that a column too many is seen.
        let ends = vec![0; columns + 2];
        let mut csv = csv_core::Reader::new();
        // It would look for a mark where it is first used, which may be in the middle of a file.
        let _ = csv.read_record(b"\n", &mut [], &mut []);
        let (filled, ended, is_too_long, is_within, mark) = (0, 0, false, false, Some(0));
        Self { separator, csv, bytes, filled, ends, ended, is_too_long, is_within, mark }
    }

    /// Gives the rows of a block, in order.
    pub(crate) fn split<R: Rows>(&mut self, block: &[u8], take: &mut R) -> Result<(), R::Error> {
        let mut block = block;
        while let (Some(had), [first, rest @ ..]) = (self.mark, block) {
            if *first != MARK[had] {
                self.end_mark(take)?;
                break;
            }
            self.mark = (had + 1 < MARK.len()).then_some(had + 1);
            block = rest;
        }
        self.rows(block, take)
    }

    /// The last row may have no line feed. What comes then is another file.
    pub(crate) fn finish<R: Rows>(&mut self, take: &mut R) -> Result<(), R::Error> {
        self.end_mark(take)?;
        self.mark = Some(0);
        match self.separator {
            // No input tells csv-core that there is no more: it gives the last row.
            Separator::Comma => self.commas(&[], take),
            Separator::Tab if self.bytes.is_empty() && !self.is_too_long => Ok(()),
            Separator::Tab => self.tabs(b"\n", take),
        }
    }

    /// There is no mark: what looked like the beginning of one is data.
    fn end_mark<R: Rows>(&mut self, take: &mut R) -> Result<(), R::Error> {
        match self.mark.take() {
            None | Some(0) => Ok(()),
            Some(had) => self.rows(&MARK[..had], take),
        }
    }

    fn rows<R: Rows>(&mut self, block: &[u8], take: &mut R) -> Result<(), R::Error> {
        if block.is_empty() {
            return Ok(()); // to csv-core, it would be the end
        }
        match self.separator {
            Separator::Comma => self.commas(block, take),
            Separator::Tab => self.tabs(block, take),
        }
    }

    fn commas<R: Rows>(&mut self, mut block: &[u8], take: &mut R) -> Result<(), R::Error> {
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
                ReadRecordResult::OutputFull => (*is_too_long, *filled) = (true, TOO_LONG_SHOWN),
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
                        true => take.row(Split::TooLong(fields.bytes))?,
                        false => take.row(Split::Row(fields))?,
                    }
                    if is_end {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Rows at the beginning of a block that have no quotes are split at commas, if they have to be split at
    /// all, which takes a third of the time; csv-core gets the rest, and what is cut.
    fn plain<R: Rows>(&mut self, block: &mut &[u8], take: &mut R) -> Result<(), R::Error> {
        loop {
            plain_rows(block, take)?;
            // Not beyond a quote or another kind of line end: what is there is looked for but once.
            let Some(first) = memchr::memchr3(b'\n', b'\r', b'"', block) else { return Ok(()) };
            let (row, end) = match &block[first..] {
                [b'\n', ..] => (&block[..first], first),
                [b'\r', b'\n', ..] => (&block[..first], first + 1),
                _ => return Ok(()),
            };
            *block = &block[end + 1..];
            if !row.is_empty() {
                self.row(row, b',', take)?;
            }
        }
    }

    fn tabs<R: Rows>(&mut self, mut block: &[u8], take: &mut R) -> Result<(), R::Error> {
        loop {
            let is_within = !self.bytes.is_empty() || self.is_too_long;
            if !is_within {
                plain_rows(&mut block, take)?;
            }
            let Some(end) = memchr::memchr(b'\n', block) else { break };
            let piece = &block[..end];
            block = &block[end + 1..];
            if !is_within {
                self.row(piece.strip_suffix(b"\r").unwrap_or(piece), b'\t', take)?;
                continue;
            }
            self.keep(piece);
            let row = std::mem::take(&mut self.bytes);
            match std::mem::take(&mut self.is_too_long) {
                true => take.row(Split::TooLong(&row))?,
                false => self.row(row.strip_suffix(b"\r").unwrap_or(&row), b'\t', take)?,
            }
            self.bytes = row;
            self.bytes.clear();
        }
        self.keep(block);
        Ok(())
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = ROW_BYTES_MAX - self.bytes.len();
        self.is_too_long |= piece.len() > room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// A row in which nothing is quoted.
    fn row<R: Rows>(&mut self, row: &[u8], separator: u8, take: &mut R) -> Result<(), R::Error> {
        if row.len() > ROW_BYTES_MAX {
            return take.row(Split::TooLong(&row[..TOO_LONG_SHOWN]));
        }
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
        take.row(Split::Row(Fields { bytes: row, ends: &self.ends[..count], gap: 1 }))
    }
}

/// Takes the plain rows at the beginning of a block.
fn plain_rows<R: Rows>(block: &mut &[u8], take: &mut R) -> Result<(), R::Error> {
    while let Some(length) = take.plain(block)? {
        *block = &block[length..];
    }
    Ok(())
}
