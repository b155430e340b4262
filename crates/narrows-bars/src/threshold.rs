//! How wide bars are.

use std::{error::Error, fmt};

/// The width of a bar, in tenths of a basis point (0.001 %) of its first price.
///
/// ```
/// use narrows_bars::Threshold;
///
/// assert_eq!(Threshold::new(250)?.dbps(), 250); // 0.25 %
/// assert!(Threshold::new(0).is_err());
/// # Ok::<_, narrows_bars::BadThreshold>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Threshold(u32);

/// A threshold beyond 1 to 100,000.
///
/// No example: that of [`Threshold`] meets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadThreshold(u32);

impl fmt::Display for BadThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a threshold of {} is not from 1 to 100000 tenths of a basis point", self.0)
    }
}

impl Error for BadThreshold {}

impl Threshold {
    /// So many tenths of a basis point.
    ///
    /// # Errors
    ///
    /// [`BadThreshold`] beyond 1 to 100,000 (0.001 % to 100 %).
    pub fn new(dbps: u32) -> Result<Self, BadThreshold> {
        if (1..=100_000).contains(&dbps) { Ok(Self(dbps)) } else { Err(BadThreshold(dbps)) }
    }

    /// Tenths of a basis point.
    pub fn dbps(self) -> u32 {
        self.0
    }

    /// The prices that end a bar that begins with this one, below and above.
    pub(crate) fn band(self, price: i64) -> (i64, i64) {
        let delta = i128::from(price) * i128::from(self.0) / 100_000;
        let delta = i64::try_from(delta).unwrap_or(i64::MAX);
        (price.saturating_sub(delta), price.saturating_add(delta))
    }
}
