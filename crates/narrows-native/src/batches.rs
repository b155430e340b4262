//! Batches for callers without a runtime, and their options from a file and the environment.
//!
//! ```
//! use narrows_core::{Budget, batch::{BatchOptions, Item}};
//! use narrows_native::batches;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let buffer = batches::open(&Budget::new(1 << 20), BatchOptions::new().batch_items(2), |_| {})?;
//! for name in ["a", "b", "c"] {
//!     buffer.push(Item::new(name, 1))?;
//! }
//! buffer.close();
//! let mut sizes = Vec::new();
//! for batch in buffer.iter() {
//!     sizes.push(batch.len());
//!     batch.commit();
//! }
//! assert_eq!(sizes, [2, 1]);
//! # Ok(()) }
//! ```

use std::{env, fmt, fs, io, iter, path::Path, sync::Arc};

use narrows_core::{
    Budget, BudgetTooSmall,
    batch::{Batch, BatchOptions, BatchStats, Closed, Ended, Item},
};
use tokio::runtime::{Builder, Runtime};

use crate::TokioClock;

/// Options from a file of lines `name = value`, if there is one, and from variables of the environment
/// with this prefix, which come after it: `prefix` and the name of an option in capitals.
///
/// ```
/// // RSS_BATCH_ITEMS_MAX=500, for example
/// let options = narrows_native::batches::options(None, "RSS_BATCH_")?;
/// assert_eq!(options.items_max, 1000);
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Errors
///
/// A file that cannot be read, or a setting that is none, with its name and its place.
pub fn options(file: Option<&Path>, prefix: &str) -> io::Result<BatchOptions> {
    let mut options = BatchOptions::new();
    let bad = |place: String, what: &dyn fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{place}: {what}"))
    };
    if let Some(path) = file {
        for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
            let line = line.trim();
            let place = || format!("{}, line {}", path.display(), number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or_else(|| bad(place(), &"expected `name = value`"))?;
            options.set(name.trim(), value.trim()).map_err(|error| bad(place(), &error))?;
        }
    }
    for (name, value) in env::vars() {
        if let Some(option) = name.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
            options.set(option, &value).map_err(|error| bad(name.clone(), &error))?;
        }
    }
    Ok(options)
}

/// A buffer whose calls wait on their thread. Clones are handles of the same one, for other threads.
///
/// No example: the module has one.
pub struct Batches<T> {
    inner: narrows_core::batch::Batches<T, TokioClock>,
    runtime: Arc<Runtime>,
}

impl<T> Clone for Batches<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), runtime: self.runtime.clone() }
    }
}

/// A buffer that is empty, once the budget has room for its largest item.
///
/// No example: the module has one.
///
/// # Errors
///
/// [`BudgetTooSmall`] if the budget never has.
///
/// # Panics
///
/// If the system gives no runtime.
pub fn open<T>(
    budget: &Budget,
    options: BatchOptions,
    observer: impl Fn(Ended<T>) + Send + Sync + 'static,
) -> Result<Batches<T>, BudgetTooSmall> {
    // Its one worker keeps the time; calls wait on the threads that make them.
    let runtime = match Builder::new_multi_thread().worker_threads(1).enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no tokio runtime: {error}"),
    };
    let opening = narrows_core::batch::Batches::open(TokioClock::new(), budget, options, observer);
    let inner = runtime.block_on(opening)?;
    Ok(Batches { inner, runtime: Arc::new(runtime) })
}

impl<T> Batches<T> {
    /// Puts an item in and gives its number; waits for room where the policy is to wait.
    ///
    /// # Errors
    ///
    /// The item, if the buffer is closed.
    ///
    /// # Panics
    ///
    /// Inside a tokio runtime, as all that waits here.
    pub fn push(&self, item: Item<T>) -> Result<u64, Closed<T>> {
        self.runtime.block_on(self.inner.push(item))
    }

    /// The next batch that is due; `None` once the buffer is closed and everything has ended.
    pub fn next_batch(&self) -> Option<Batch<T, TokioClock>> {
        self.runtime.block_on(self.inner.next_batch())
    }

    /// Batches one after another.
    pub fn iter(&self) -> impl Iterator<Item = Batch<T, TokioClock>> {
        iter::from_fn(|| self.next_batch())
    }

    /// Makes a batch due of what there is.
    pub fn flush(&self) {
        self.inner.flush();
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.inner.close();
    }

    /// A snapshot.
    pub fn stats(&self) -> BatchStats {
        self.inner.stats()
    }
}

impl<T> fmt::Debug for Batches<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn threads_push_and_take() {
        let buffer = open(&Budget::new(1 << 20), BatchOptions::new().items_max(10).batch_items(4), |_| {}).unwrap();
        let pushing = buffer.clone();
        let pusher = thread::spawn(move || {
            for number in 0..1000 {
                pushing.push(Item::new(number, 8)).unwrap();
            }
            pushing.close();
        });
        let (sent, taken) = mpsc::channel();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let (buffer, sent) = (buffer.clone(), sent.clone());
                thread::spawn(move || {
                    for batch in buffer.iter() {
                        batch.iter().for_each(|item| sent.send(*item.value()).unwrap());
                        batch.commit();
                    }
                })
            })
            .collect();
        drop(sent);
        let mut numbers: Vec<i32> = taken.iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        takers.into_iter().chain([pusher]).for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn options_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batches.conf");
        fs::write(&path, "# of the news pipeline\nitems_max = 500\nage-max = 60.5\noverflow = drop-oldest\n").unwrap();
        let read = options(Some(&path), "").unwrap();
        assert_eq!((read.items_max, read.age_max), (500, Duration::from_millis(60_500)));
        fs::write(&path, "items_max = many\n").unwrap();
        let error = options(Some(&path), "").unwrap_err().to_string();
        assert!(error.ends_with("batches.conf, line 1: items_max = \"many\": expected a whole number"), "{error}");
    }
}
