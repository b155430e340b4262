//! One number for what happens in many seeds: the same on every target.

use std::ops::Range;

use crate::{Summary, batching, check, journaling};

/// A digest of what happens for each of `seeds`: windows, buffers and journals.
///
/// # Errors
///
/// What did not hold, with the plan.
pub fn digest(seeds: Range<u64>) -> Result<u64, String> {
    seeds.into_iter().try_fold(0u64, |digest, seed| {
        let Summary { trace, steps, .. } = check(seed).map_err(|violation| violation.to_string())?;
        let (batches, journal) = (batching::check(seed)?, journaling::check(seed)?);
        Ok(digest.rotate_left(7) ^ trace ^ batches ^ journal ^ steps.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    })
}
