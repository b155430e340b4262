//! A delivery as tokio's readers want it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use narrows_core::{Clock, Delivery, Fetch, read::Reader};
use tokio::io::{AsyncRead, ReadBuf};

/// What is left of a delivery, as tokio's [`AsyncRead`]: see [`reader`].
///
/// No example: see [`reader`].
#[derive(Debug)]
pub struct TokioReader<'a, F: Fetch, C: Clock>(Reader<'a, F, C>);

/// What is left of a delivery, or of the entry that is open, as a reader for tokio.
///
/// ```
/// # use futures_util::StreamExt;
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let fetch = MemoryFetch::new().with("mem://a", *b"hello");
/// # let budget = Budget::new(64 << 20);
/// # let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// # let mut delivery = window.next().await.expect("one source");
/// let mut copy = Vec::new();
/// tokio::io::copy(&mut narrows_native::reader(&mut delivery), &mut copy).await?;
/// assert_eq!(copy, b"hello");
/// # Ok(()) }
/// ```
pub fn reader<F: Fetch, C: Clock>(delivery: &mut Delivery<F, C>) -> TokioReader<'_, F, C> {
    TokioReader(delivery.reader())
}

impl<F: Fetch, C: Clock> AsyncRead for TokioReader<'_, F, C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let bytes = ready!(self.0.poll_bytes(cx))?;
        let length = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..length]);
        self.0.take(length);
        Poll::Ready(Ok(()))
    }
}
