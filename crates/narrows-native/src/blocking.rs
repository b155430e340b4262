//! For callers without a runtime: deliveries from an iterator, bytes from a [`Read`].
//!
//! ```no_run
//! use std::io::Read;
//! use narrows_native::{Client, ClientOptions, blocking};
//! use narrows_core::{Budget, Options, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ClientOptions::default())?;
//! let sources = ["http://example.com/a.csv", "http://example.com/b.csv"].map(Source::new);
//! for mut file in blocking::iter(sources, client, &Budget::new(16 << 20), Options::default())? {
//!     let bytes = std::io::copy(&mut file, &mut std::io::sink())?;
//!     println!("{}: {bytes} bytes", file.source().url);
//! }
//! # Ok(()) }
//! ```

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
use narrows_core::{Block, Budget, Failure, FailureKind, FetchErrorKind, Options, OptionsError, Report, Source};
use tokio::runtime::{Builder, Runtime};

use crate::{Client, TokioClock, Window};

/// Deliveries one after another. All downloads go on while one of the calls waits here; in
/// between, origins wait.
///
/// # Errors
///
/// [`OptionsError`], among others if the budget is below one transfer's working set.
///
/// # Panics
///
/// Inside a tokio runtime: use [`Window`](narrows_core::Window) there. Also if the system gives
/// no runtime: no timers, no sockets.
pub fn iter<I: Iterator<Item = Source>>(
    sources: impl IntoIterator<IntoIter = I>,
    client: Client,
    budget: &Budget,
    options: Options,
) -> Result<Deliveries<I>, OptionsError> {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no tokio runtime: {error}"),
    };
    let window = Window::from_iter(sources, client, TokioClock::new(), budget, options)?;
    let shared = Shared { window: Some(window), runtime };
    Ok(Deliveries { shared: Rc::new(RefCell::new(shared)) })
}

struct Shared<I> {
    /// Gone before the runtime.
    window: Option<Window<stream::Iter<I>>>,
    runtime: Runtime,
}

/// An iterator of [`File`]. Dropping it, and the files from it, aborts what is left.
pub struct Deliveries<I> {
    shared: Rc<RefCell<Shared<I>>>,
}

impl<I: Iterator<Item = Source>> Iterator for Deliveries<I> {
    type Item = File<I>;

    fn next(&mut self) -> Option<File<I>> {
        let shared = &mut *self.shared.borrow_mut();
        let delivery = shared.runtime.block_on(shared.window.as_mut()?.next())?;
        Some(File { delivery, shared: self.shared.clone(), block: None, taken: 0 })
    }
}

/// One source, readable from start to end.
pub struct File<I> {
    delivery: crate::Delivery,
    shared: Rc<RefCell<Shared<I>>>,
    block: Option<Block>,
    taken: usize,
}

impl<I: Iterator<Item = Source>> File<I> {
    /// The source it came from.
    pub fn source(&self) -> Source {
        self.delivery.source()
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    ///
    /// The [`Failure`] in which the source ended.
    pub fn next_block(&mut self) -> Result<Option<Block>, Failure> {
        let Shared { window, runtime } = &mut *self.shared.borrow_mut();
        let delivery = &mut self.delivery;
        runtime.block_on(async {
            let Some(window) = window else { return delivery.next_block().await };
            let (block, drive) = (std::pin::pin!(delivery.next_block()), std::pin::pin!(window.drive()));
            match select(block, drive).await {
                Either::Left((block, _)) => block,
                Either::Right(((), block)) => block.await,
            }
        })
    }

    /// How it ended, once it has.
    pub fn report(&self) -> Option<Report> {
        self.delivery.report()
    }
}

impl<I: Iterator<Item = Source>> Read for File<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let block = match self.block.take() {
            Some(block) => block,
            None => match self.next_block().map_err(into_io)? {
                Some(block) => {
                    self.taken = 0;
                    block
                }
                None => return Ok(0),
            },
        };
        let length = buffer.len().min(block.len() - self.taken);
        buffer[..length].copy_from_slice(&block[self.taken..self.taken + length]);
        self.taken += length;
        self.block = Some(block).filter(|block| self.taken < block.len());
        Ok(length)
    }
}

fn into_io(failure: Failure) -> io::Error {
    let kind = match &failure.kind {
        FailureKind::Fetch(FetchErrorKind::Connect) => io::ErrorKind::ConnectionRefused,
        FailureKind::Fetch(FetchErrorKind::Interrupted) => io::ErrorKind::ConnectionAborted,
        FailureKind::Cut { .. } => io::ErrorKind::UnexpectedEof,
        FailureKind::Idle(_) | FailureKind::TooSlow { .. } => io::ErrorKind::TimedOut,
        FailureKind::Status(404) => io::ErrorKind::NotFound,
        FailureKind::Unpack(_) | FailureKind::DigestMismatch { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, failure)
}
