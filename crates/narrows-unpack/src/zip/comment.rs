//! Archive comments that could be taken for another archive.

use super::record::END;
use crate::error::ErrorKind;

/// Refuses archive comments that another reader, searching backwards, could take for an archive:
/// control bytes below 9 (as a record's fields have) or an end record's signature.
#[derive(Default)]
pub(super) struct CommentCheck {
    /// The last four bytes.
    window: u32,
}

impl CommentCheck {
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        for &byte in bytes {
            self.window = self.window >> 8 | u32::from(byte) << 24;
            if matches!(byte, 1..=8) || self.window == END {
                return Err(ErrorKind::SuspiciousComment);
            }
        }
        Ok(())
    }
}
