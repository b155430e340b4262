//! Counts what really came out against the limits.

use crate::{
    error::{ErrorKind, LimitKind},
    limits::Limits,
};

#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    entries: u64,
    entry_bytes: u64,
    archive_bytes: u64,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, entries: 0, entry_bytes: 0, archive_bytes: 0 }
    }

    /// Begins an entry and gives its index.
    pub(crate) fn entry(&mut self) -> Result<u64, ErrorKind> {
        if self.entries >= u64::from(self.limits.entries_max) {
            return Err(ErrorKind::Limit { limit: LimitKind::Entries, max: self.entries });
        }
        self.entry_bytes = 0;
        self.entries += 1;
        Ok(self.entries - 1)
    }

    /// How many more bytes the current entry may give before [`Meter::count`] refuses.
    pub(crate) fn allowance(&self) -> u64 {
        let entry = self.limits.entry_bytes_max - self.entry_bytes;
        entry.min(self.limits.archive_bytes_max - self.archive_bytes)
    }

    /// Counts `bytes` that came out of the entry, of which `consumed` compressed bytes went in.
    pub(crate) fn count(&mut self, bytes: u64, consumed: u64) -> Result<(), ErrorKind> {
        let limits = &self.limits;
        let over = |limit, max| Err(ErrorKind::Limit { limit, max });
        if bytes > limits.entry_bytes_max - self.entry_bytes {
            return over(LimitKind::EntryBytes, limits.entry_bytes_max);
        }
        if bytes > limits.archive_bytes_max - self.archive_bytes {
            return over(LimitKind::ArchiveBytes, limits.archive_bytes_max);
        }
        self.entry_bytes += bytes;
        self.archive_bytes += bytes;
        let ratio_max = u64::from(limits.ratio_max);
        if self.entry_bytes > limits.ratio_floor && self.entry_bytes > consumed.saturating_mul(ratio_max) {
            return over(LimitKind::Ratio, ratio_max);
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn entry_bytes(&self) -> u64 {
        self.entry_bytes
    }
}
