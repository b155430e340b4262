//! The memory of tables: how many fit into a budget.

use narrows_tables::{Form, Schema};

use crate::{args::TransferArgs, exit::Usage, limits::Limit};

/// Bytes that a table takes beside its writer: a batch, the longest usual row, and what is between.
const TABLE_BYTES: u64 = 3 << 20;
/// Tables at once where nothing is said, if the budget has room for so many.
const LIMIT: u64 = 4;

pub(crate) struct Room {
    budget: u64,
    table_bytes: u64,
    transfer_bytes: u64,
}

impl Room {
    /// For tables of these schemas, the largest of which decides, and transfers of so many bytes.
    pub(crate) fn of(transfers: &TransferArgs, form: Form, schemas: &[Schema], transfer_bytes: u64) -> Self {
        let largest = schemas.iter().map(|schema| form.writer_bytes_max(schema)).max().unwrap_or(0);
        let table_bytes = largest + TABLE_BYTES;
        Self { budget: transfers.budget, table_bytes, transfer_bytes }
    }

    /// Tables at once where nothing is said.
    pub(crate) fn limit(&self) -> Limit {
        let most = (self.budget / (self.table_bytes + self.transfer_bytes)).clamp(1, LIMIT) as u32;
        Limit { most, adapts: false }
    }

    /// What of the budget is set aside for so many tables.
    pub(crate) fn aside(&self, limit: usize) -> Result<u64, Usage> {
        let aside = self.table_bytes * limit as u64;
        if aside < self.budget {
            return Ok(aside);
        }
        let needed = (aside >> 20) + 16;
        Err(Usage::new(format!(
            "--budget has no room for {limit} tables at once: {needed}MiB would do, or a smaller --limit"
        )))
    }
}
