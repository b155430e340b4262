//! For callers without a runtime: deliveries from an iterator, bytes from a [`Read`].
//!
//! ```
//! use std::io::Read;
//! use narrows_core::{Budget, Options, testing::MemoryFetch};
//! use narrows_native::blocking;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fetch = MemoryFetch::new().with("mem://a", *b"hello"); // or a `Client`
//! for mut file in blocking::iter(["mem://a"], fetch, &Budget::new(16 << 20), Options::new())? {
//!     let mut text = String::new();
//!     file.read_to_string(&mut text)?;
//!     assert_eq!(text, "hello");
//!     assert_eq!(file.finish().outcome.name(), "done");
//! }
//! # Ok(()) }
//! ```

use std::{
    fmt,
    io::{self, Read},
    pin::pin,
    sync::Arc,
};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
use narrows_core::{
    Block, Budget, Collected, Delivery, Failure, FailureKind, Fetch, Observer, Options, OptionsError, Report, Source,
    Window, source::Listed, unpack::Entry,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Mutex, Notify},
};

use crate::TokioClock;

/// Deliveries one after another. All downloads go on while one of the calls waits here; in
/// between, origins wait. Everything can be sent to another thread, if the adapter can.
///
/// # Errors
///
/// [`OptionsError`], among others if the budget is below one transfer's working set.
///
/// # Panics
///
/// Inside a tokio runtime: use [`Window`] there. Also if the system gives no runtime: no timers, no
/// sockets.
///
/// No example: the module has one.
pub fn iter<F: Fetch + Clone, I: Iterator<Item: Listed>>(
    sources: impl IntoIterator<IntoIter = I>,
    fetch: F,
    budget: &Budget,
    options: Options,
) -> Result<Deliveries<F, I>, OptionsError> {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no tokio runtime: {error}"),
    };
    let window = Window::from_iter(sources, fetch, TokioClock::new(), budget, options)?;
    let state = State { window: Mutex::new(window), wanted: Notify::new(), runtime };
    Ok(Deliveries { shared: Arc::new(state) })
}

/// What the iterator and its files share, on whatever threads they are. Whoever waits drives the
/// window if nobody else does; nobody waits for another to read.
struct State<F: Fetch, I> {
    /// Gone before the runtime.
    window: Mutex<Window<F, TokioClock, stream::Iter<I>>>,
    /// Somebody wants the window for its next file: whoever only drives it lets go.
    wanted: Notify,
    runtime: Runtime,
}

/// An iterator of [`File`]. Dropping it, and the files from it, aborts what is left.
///
/// No example: the module has one.
pub struct Deliveries<F: Fetch, I> {
    shared: Arc<State<F, I>>,
}

impl<F: Fetch + Clone, I: Iterator<Item: Listed>> Deliveries<F, I> {
    /// Tells `observer` how sources end, from now on.
    #[must_use]
    pub fn observed_by(self, observer: impl Observer + Send + Sync + 'static) -> Self {
        self.shared.window.blocking_lock().observe(observer);
        self
    }
}

impl<F: Fetch + Clone, I: Iterator<Item: Listed>> Iterator for Deliveries<F, I> {
    type Item = File<F, I>;

    fn next(&mut self) -> Option<File<F, I>> {
        let State { window, wanted, runtime } = &*self.shared;
        let delivery = runtime.block_on(async {
            wanted.notify_waiters();
            window.lock().await.next().await
        })?;
        Some(File { delivery, shared: self.shared.clone(), block: None, taken: 0 })
    }
}

impl<F: Fetch, I> fmt::Debug for Deliveries<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").finish_non_exhaustive()
    }
}

/// One source, readable from start to end.
///
/// No example: the module has one.
pub struct File<F: Fetch, I> {
    delivery: Delivery<F, TokioClock>,
    shared: Arc<State<F, I>>,
    block: Option<Block>,
    taken: usize,
}

impl<F: Fetch + Clone, I: Iterator<Item: Listed>> File<F, I> {
    /// Its place in the list, from 0.
    pub fn index(&self) -> u64 {
        self.delivery.index()
    }

    /// The source it came from, secrets included.
    pub fn source(&self) -> Source {
        self.delivery.source()
    }

    /// The next block of the entry that is open, or of the source; `None` at the end.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the source; [`FailureKind::Misuse`] while a block is half read.
    pub fn next_block(&mut self) -> Result<Option<Block>, Failure> {
        self.check_order()?;
        wait(&self.shared, self.delivery.next_block())
    }

    /// Skips what is left of the current entry and opens the next one; `None` at the end.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the source.
    pub fn next_entry(&mut self) -> Result<Option<Box<Entry>>, Failure> {
        self.block = None; // what was not read of it is skipped, too
        wait(&self.shared, self.delivery.next_entry())
    }

    /// Everything that is left, of at most `max` bytes, as one slice: see [`Delivery::collect`].
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the source, and [`FailureKind::TooBigToCollect`].
    pub fn collect(&mut self, max: u64) -> Result<Collected, Failure> {
        self.check_order()?;
        wait(&self.shared, self.delivery.collect(max))
    }

    /// Calls `work` with each line that is left, without its end; none is longer than `max` bytes. A
    /// line ends with its entry, too.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the source, and [`FailureKind::LineTooLong`], which fails it.
    pub fn for_each_line(&mut self, max: usize, mut work: impl FnMut(&[u8])) -> Result<(), Failure> {
        self.check_order()?;
        wait(&self.shared, async {
            let mut lines = self.delivery.lines(max);
            while let Some(line) = lines.next().await? {
                work(line);
            }
            Ok(())
        })
    }

    /// What was read of a block must not come after what follows it.
    fn check_order(&self) -> Result<(), Failure> {
        let what = "a block is half read: read on to its end, or open the next entry";
        match self.block {
            Some(_) => Err(Failure::of(FailureKind::Misuse(what))),
            None => Ok(()),
        }
    }

    /// Says that what came is committed, and gives the report: see [`Delivery::finish`].
    pub fn finish(self) -> Report {
        self.delivery.finish()
    }

    /// Says that what came could not be kept, and gives the report: see [`Delivery::fail`].
    pub fn fail(self, reason: impl Into<FailureKind>) -> Report {
        self.delivery.fail(reason)
    }
}

/// Waits for `work` on a delivery. All downloads go on meanwhile: this thread drives the window unless
/// another does, or wants its next file.
fn wait<F, I, T>(shared: &State<F, I>, work: impl Future<Output = T>) -> T
where
    F: Fetch + Clone,
    I: Iterator<Item: Listed>,
{
    let State { window, wanted, runtime } = shared;
    runtime.block_on(async {
        let drive = async {
            let wanted = pin!(wanted.notified());
            let Ok(mut window) = window.try_lock() else { return };
            select(pin!(window.drive()), wanted).await;
        };
        match select(pin!(work), pin!(drive)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => work.await,
        }
    })
}

/// Of an archive, the entries' bytes one after another, with nothing between them: for lines, see
/// [`for_each_line`](File::for_each_line).
impl<F: Fetch + Clone, I: Iterator<Item: Listed>> Read for File<F, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let block = match self.block.take() {
            Some(block) => block,
            None => match self.next_block()? {
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

impl<F: Fetch, I> fmt::Debug for File<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}
