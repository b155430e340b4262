//! Where one bar ends and the next begins.

use crate::{
    bar::{Bar, Overflow},
    checkpoint::Checkpoint,
    threshold::Threshold,
    trade::Trade,
};

/// Makes bars of trades, one by one.
///
/// The trade that reaches the band is the last of its bar; the next one begins another, at its own
/// price. With the gate, a bar does not end at the time at which it began.
///
/// The trades must come in order: see [`Sequence`](crate::Sequence).
///
/// No example: that of the crate makes some.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RangeBars {
    threshold: Threshold,
    gate: bool,
    open: Option<Open>,
}

/// A bar in the making, and the band that ends it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Open {
    bar: Bar,
    low: i64,
    high: i64,
}

impl Open {
    fn new(bar: Bar, threshold: Threshold) -> Self {
        let (low, high) = threshold.band(bar.open);
        Self { bar, low, high }
    }
}

impl RangeBars {
    /// Bars of this width, none of them begun. With `gate`, none ends at the time at which it began.
    pub fn new(threshold: Threshold, gate: bool) -> Self {
        Self { threshold, gate, open: None }
    }

    /// Bars that go on from a checkpoint.
    pub fn resume(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { threshold, gate, bar } = *checkpoint;
        Self { threshold, gate, open: bar.map(|bar| Open::new(bar, threshold)) }
    }

    /// Everything that is needed to go on from here.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { threshold: self.threshold, gate: self.gate, bar: self.open.as_ref().map(|open| open.bar) }
    }

    /// The width.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// Takes a trade, and gives the bar that ends with it.
    ///
    /// # Errors
    ///
    /// [`Overflow`], after which the bar is as it was before.
    pub fn push(&mut self, trade: &Trade) -> Result<Option<Bar>, Overflow> {
        let Some(open) = &mut self.open else {
            self.open = Some(Open::new(Bar::open(trade), self.threshold));
            return Ok(None);
        };
        open.bar.add(trade)?;
        let has_left = trade.price >= open.high || trade.price <= open.low;
        let may_end = !self.gate || trade.time_us != open.bar.open_time_us;
        if !(has_left && may_end) {
            return Ok(None);
        }
        Ok(self.end())
    }

    /// The bar in the making as it is now.
    pub fn unfinished(&self) -> Option<Bar> {
        self.open.as_ref().map(|open| open.bar.closed())
    }

    /// Ends the bar in the making, wherever its price is: for the end of data, or a gap in them.
    pub fn end(&mut self) -> Option<Bar> {
        self.open.take().map(|open| open.bar.closed())
    }
}
