//! Items as bytes in temporary storage: a head of fixed length, then the value.

use std::time::Duration;

use super::item::Item;
use crate::clock::Timestamp;

/// What can be written to storage and read again.
///
/// ```
/// use narrows_core::batch::Spill;
///
/// let mut bytes = Vec::new();
/// "entry".to_owned().write_to(&mut bytes);
/// assert_eq!(String::read_from(&bytes), Some("entry".to_owned()));
/// ```
pub trait Spill: Sized {
    /// Appends itself.
    fn write_to(&self, bytes: &mut Vec<u8>);

    /// What was written, or `None` if these bytes are none of it.
    fn read_from(bytes: &[u8]) -> Option<Self>;
}

impl Spill for String {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read_from(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Into::into)
    }
}

impl Spill for Vec<u8> {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }

    fn read_from(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

/// The head of a record.
pub(super) struct Record {
    pub(super) value_bytes: u32,
    /// Bytes the item counts for.
    charged: u64,
    priority: i32,
    born: Timestamp,
}

impl Record {
    pub(super) const HEAD_BYTES: usize = 24;

    /// A whole record. An item without a time of its own came to be now.
    pub(super) fn write<T: Spill>(item: &Item<T>, now: Timestamp) -> Vec<u8> {
        let mut record = vec![0; Self::HEAD_BYTES];
        item.value.write_to(&mut record);
        let value_bytes = u32::try_from(record.len() - Self::HEAD_BYTES).unwrap_or(u32::MAX);
        let born = u64::try_from(item.born.unwrap_or(now).0.as_nanos()).unwrap_or(u64::MAX);
        record[..4].copy_from_slice(&value_bytes.to_le_bytes());
        record[4..12].copy_from_slice(&item.bytes.to_le_bytes());
        record[12..16].copy_from_slice(&item.priority.to_le_bytes());
        record[16..24].copy_from_slice(&born.to_le_bytes());
        record
    }

    pub(super) fn read(head: &[u8; Self::HEAD_BYTES]) -> Self {
        Self {
            value_bytes: u32::from_le_bytes(part(head, 0)),
            charged: u64::from_le_bytes(part(head, 4)),
            priority: i32::from_le_bytes(part(head, 12)),
            born: Timestamp(Duration::from_nanos(u64::from_le_bytes(part(head, 16)))),
        }
    }

    /// Its length, head and value.
    pub(super) fn bytes(&self) -> u64 {
        Self::HEAD_BYTES as u64 + u64::from(self.value_bytes)
    }

    pub(super) fn item<T: Spill>(&self, value: &[u8]) -> Option<Item<T>> {
        let value = T::read_from(value)?;
        Some(Item::new(value, self.charged).priority(self.priority).born(self.born))
    }
}

fn part<const N: usize>(head: &[u8; Record::HEAD_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&head[at..at + N]);
    part
}
