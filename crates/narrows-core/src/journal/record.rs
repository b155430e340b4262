//! The log's bytes: a header of 24, then records of length (2, little endian), CRC-32 (4) and payload. The first
//! byte of a payload is its kind; numbers are LEB128 where they are small, and 8 bytes where they are not.

use super::{Evidence, Intent, JournalError, PATH_MAX};

const MAGIC: &[u8; 15] = b"narrows journal";
const VERSION: u8 = 1;
/// The magic, the version, the job.
pub(super) const HEADER_BYTES: usize = 24;

const DONE: u8 = 1;
const INTENT: u8 = 2;

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Record {
    Done { start: u64, count: u64, sum: u64 },
    Intent(u64, Intent),
}

pub(super) fn begin(job: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &[VERSION], &job.to_le_bytes()].concat()
}

/// The job of a log.
pub(super) fn header(log: &[u8]) -> Result<u64, JournalError> {
    let (magic, rest) = log.split_at_checked(MAGIC.len()).ok_or(JournalError::NotAJournal)?;
    match rest {
        [VERSION, rest @ ..] if magic == MAGIC => take(&mut &rest[..]).ok_or(JournalError::NotAJournal),
        [version, ..] if magic == MAGIC => Err(JournalError::Newer { version: *version }),
        _ => Err(JournalError::NotAJournal),
    }
}

pub(super) fn done(log: &mut Vec<u8>, start: u64, count: u64, sum: u64) {
    append(log, |payload| {
        payload.push(DONE);
        put(payload, start);
        put(payload, count);
        payload.extend(sum.to_le_bytes());
    });
}

pub(super) fn intent(log: &mut Vec<u8>, position: u64, intent: &Intent) {
    let Intent { id, evidence: Evidence { inode, bytes, modified }, path } = intent;
    append(log, |payload| {
        payload.push(INTENT);
        put(payload, position);
        [id, inode, bytes, modified].into_iter().for_each(|number| payload.extend(number.to_le_bytes()));
        payload.extend(path.as_bytes());
    });
}

fn append(log: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = log.len();
    log.extend([0; 6]);
    write(log);
    let payload = &log[at + 6..];
    let (length, sum) = (payload.len() as u16, crc32fast::hash(payload));
    log[at..at + 2].copy_from_slice(&length.to_le_bytes());
    log[at + 2..at + 6].copy_from_slice(&sum.to_le_bytes());
}

/// The first record and its length, if it is whole.
pub(super) fn read(log: &[u8]) -> Option<(Record, usize)> {
    let (length, rest) = log.split_first_chunk::<2>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    let mut payload = rest.get(..length)?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (kind, rest) = payload.split_first()?;
    payload = rest;
    let position = number(&mut payload)?;
    let record = match *kind {
        DONE => Record::Done { start: position, count: number(&mut payload)?, sum: take(&mut payload)? },
        INTENT if payload.len() <= 32 + PATH_MAX => {
            let id = take(&mut payload)?;
            let evidence =
                Evidence { inode: take(&mut payload)?, bytes: take(&mut payload)?, modified: take(&mut payload)? };
            Record::Intent(position, Intent { id, evidence, path: std::str::from_utf8(payload).ok()?.to_owned() })
        }
        _ => return None,
    };
    Some((record, 6 + length))
}

fn put(payload: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        payload.push(number as u8 | 0x80);
        number >>= 7;
    }
    payload.push(number as u8);
}

fn number(payload: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = payload.split_first()?;
        *payload = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take(payload: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = payload.split_first_chunk::<8>()?;
    *payload = rest;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let evidence = Evidence { inode: 1, bytes: u64::MAX, modified: 3 };
        let own = Intent { id: 9, evidence, path: "größe/a".into() };
        let mut log = Vec::new();
        for number in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            log.clear();
            done(&mut log, number, 1, number);
            assert_eq!(read(&log), Some((Record::Done { start: number, count: 1, sum: number }, log.len())));
            log.clear();
            intent(&mut log, number, &own);
            assert_eq!(read(&log), Some((Record::Intent(number, own.clone()), log.len())));
            assert!((0..log.len()).all(|end| read(&log[..end]).is_none()));
            for at in 0..log.len() {
                log[at] ^= 1;
                assert_eq!(read(&log), None, "a flipped bit of byte {at}");
                log[at] ^= 1;
            }
        }
    }
}
