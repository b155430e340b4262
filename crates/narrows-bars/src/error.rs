//! What can go wrong between rows and bars.

use std::{error::Error, fmt};

use crate::{bar::Overflow, rows::BadRow, sequence::OutOfOrder};

/// Why there are no more bars.
///
/// No example: that of the crate hands one on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BarError {
    /// A row is no trade.
    Row(BadRow),
    /// A trade is not after the one before.
    Order(OutOfOrder),
    /// A bar's turnover or fills are too large.
    Overflow(Overflow),
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(error) => error.fmt(f),
            Self::Order(error) => error.fmt(f),
            Self::Overflow(error) => error.fmt(f),
        }
    }
}

impl Error for BarError {}

impl From<BadRow> for BarError {
    fn from(error: BadRow) -> Self {
        Self::Row(error)
    }
}

impl From<OutOfOrder> for BarError {
    fn from(error: OutOfOrder) -> Self {
        Self::Order(error)
    }
}

impl From<Overflow> for BarError {
    fn from(error: Overflow) -> Self {
        Self::Overflow(error)
    }
}
