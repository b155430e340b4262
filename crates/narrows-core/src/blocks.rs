//! A delivery as other libraries want it: a stream of blocks, a reader of bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_io::AsyncRead;

use crate::{clock::Clock, delivery::Delivery, failure::Failure, fetch::Fetch, lease::Block};

/// Blocks of what is left of a delivery, as a [`Stream`]. A failure is its last item.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt, TryStreamExt};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// # let mut file = window.next().await.expect("one source");
/// let bytes = file.blocks().try_fold(0, async |sum, block| Ok(sum + block.len())).await?;
/// assert_eq!(bytes, 5);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Debug)]
pub struct Blocks<'a, F: Fetch, C: Clock> {
    delivery: &'a mut Delivery<F, C>,
    is_over: bool,
}

/// What is left of a delivery, as an [`AsyncRead`] of the futures library. (tokio's is in
/// `narrows_native`.) Of an archive, it gives the entries' bytes one after another, with nothing
/// between them: for lines, see [`Lines`](crate::read::Lines).
///
/// ```
/// # use futures_util::{FutureExt, StreamExt, io::{AsyncReadExt, Cursor}};
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # async {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(8 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// # let mut file = window.next().await.expect("one source");
/// let mut first = [0; 3];
/// file.reader().read_exact(&mut first).await?;
/// assert_eq!(&first, b"hel");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }.now_or_never().expect("nothing waits").expect("it works");
/// ```
#[derive(Debug)]
pub struct Reader<'a, F: Fetch, C: Clock> {
    delivery: &'a mut Delivery<F, C>,
    block: Option<Block>,
    taken: usize,
}

impl<F: Fetch, C: Clock> Delivery<F, C> {
    /// What is left of it, or of the entry that is open, as a stream of blocks.
    pub fn blocks(&mut self) -> Blocks<'_, F, C> {
        Blocks { delivery: self, is_over: false }
    }

    /// What is left of it, or of the entry that is open, as a reader. A block that the reader has
    /// begun is lost when the reader is dropped.
    pub fn reader(&mut self) -> Reader<'_, F, C> {
        Reader { delivery: self, block: None, taken: 0 }
    }
}

impl<F: Fetch, C: Clock> Stream for Blocks<'_, F, C> {
    type Item = Result<Block, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = ready!(self.delivery.poll_block(cx)).transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl<F: Fetch, C: Clock> Reader<'_, F, C> {
    /// The bytes to take next; none at the end.
    ///
    /// # Errors
    ///
    /// The failure of the source.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        if self.block.as_ref().is_none_or(|block| self.taken == block.len()) {
            self.block = None; // there may be no other
            self.block = ready!(self.delivery.poll_block(cx))?;
            self.taken = 0;
        }
        Poll::Ready(Ok(self.block.as_ref().map_or(&[], |block| &block[self.taken..])))
    }

    /// Takes bytes that [`poll_bytes`](Self::poll_bytes) gave.
    pub fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

impl<F: Fetch, C: Clock> AsyncRead for Reader<'_, F, C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.poll_bytes(cx))?;
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        self.take(length);
        Poll::Ready(Ok(length))
    }
}
