//! Lines of a delivery, in bounded memory.

use std::fmt;

use memchr::memchr;

use crate::{
    clock::Clock,
    delivery::Delivery,
    failure::{Failure, FailureKind},
    fetch::Fetch,
    lease::{Block, Collected},
    reader::Output,
};

/// Lines of a delivery, without their ends. A line ends at a line feed, with or without a carriage
/// return before it, and at the end of the source or of an archive's entry.
///
/// A line inside a block is lent from it. One that spans blocks is put together in a buffer of at most
/// the length that lines may have, out of [`Options::collect_max`](crate::Options::collect_max) first,
/// then of what the budget has free: set a few kilobytes aside where the budget is tight.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"one\r\ntwo");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// # let mut file = window.next().await.expect("one source");
/// let mut lines = file.lines(64 << 10); // the longest line, in bytes
/// let mut seen = Vec::new();
/// while let Some(line) = lines.next().await? {
///     seen.push(line.to_vec());
/// }
/// assert_eq!(seen, [b"one", b"two"]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
pub struct Lines<'a, F: Fetch, C: Clock> {
    delivery: &'a mut Delivery<F, C>,
    max: usize,
    /// The block being cut into lines, and where the next begins.
    block: Option<Block>,
    at: usize,
    carry: Carry,
}

/// The beginning of a line that goes on in the next block.
#[derive(Default)]
struct Carry {
    /// Its capacity is charged.
    line: Option<Collected>,
    /// Whether it was given to the consumer, and is over.
    is_given: bool,
}

impl<F: Fetch, C: Clock> Delivery<F, C> {
    /// What is left of it as lines of at most `max` bytes, a carriage return included.
    pub fn lines(&mut self, max: usize) -> Lines<'_, F, C> {
        Lines { delivery: self, max, block: None, at: 0, carry: Carry::default() }
    }
}

impl<F: Fetch, C: Clock> Lines<'_, F, C> {
    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the source; [`FailureKind::LineTooLong`], which fails it; and
    /// [`FailureKind::TooBigToCollect`] where the budget has no room for a line that spans blocks.
    ///
    /// Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        self.delivery.check_scope()?;
        if std::mem::take(&mut self.carry.is_given) {
            self.carry.clear();
        }
        let (from, to) = loop {
            if let Some(block) = &self.block {
                let rest = &block[self.at..];
                if let Some(length) = memchr(b'\n', rest) {
                    let (from, to) = (self.at, self.at + length);
                    self.at = to + 1;
                    if self.carry.bytes().is_empty() {
                        self.check(length)?;
                        break (from, to);
                    }
                    self.carry(from, to)?;
                    return Ok(Some(self.carry.give()));
                }
                let (from, to) = (self.at, block.len());
                self.carry(from, to)?;
                self.block = None;
            }
            let output = std::future::poll_fn(|cx| self.delivery.poll_output(cx)).await;
            if output.as_ref().is_err_and(|failure| failure.kind == FailureKind::Restarted) {
                self.carry.clear(); // the beginning of a line that is void
            }
            match output? {
                Output::Block(block) => (self.block, self.at) = (Some(block), 0),
                Output::EntryEnd(_) | Output::End if !self.carry.bytes().is_empty() => {
                    return Ok(Some(self.carry.give()));
                }
                Output::End => return Ok(None),
                Output::EntryEnd(_) | Output::Entry(_) => {}
            }
        };
        let line = self.block.as_ref().map_or(&[][..], |block| &block[from..to]);
        Ok(Some(without_return(line)))
    }

    fn check(&self, length: usize) -> Result<(), Failure> {
        match length > self.max {
            true => Err(self.delivery.refuse(FailureKind::LineTooLong { max: self.max as u64 })),
            false => Ok(()),
        }
    }

    /// Adds a piece of the block to the line that is being put together.
    fn carry(&mut self, from: usize, to: usize) -> Result<(), Failure> {
        let needed = self.carry.bytes().len() + (to - from);
        self.check(needed)?;
        let room = self.carry.line.as_ref().map_or(0, |line| line.bytes.capacity());
        if needed > room {
            let capacity = needed.next_power_of_two().min(self.max);
            let mut grown = self.delivery.room_for(capacity as u64)?;
            grown.bytes.extend_from_slice(self.carry.bytes());
            self.carry.line = Some(grown);
        }
        if let (Some(line), Some(block)) = (&mut self.carry.line, &self.block) {
            line.bytes.extend_from_slice(&block[from..to]);
        }
        Ok(())
    }
}

impl Carry {
    fn give(&mut self) -> &[u8] {
        self.is_given = true;
        without_return(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        self.line.as_ref().map_or(&[], |line| &line.bytes)
    }

    fn clear(&mut self) {
        if let Some(line) = &mut self.line {
            line.bytes.clear();
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl<F: Fetch, C: Clock> fmt::Debug for Lines<'_, F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("delivery", &self.delivery).field("max", &self.max).finish_non_exhaustive()
    }
}
