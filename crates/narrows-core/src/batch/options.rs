//! How a buffer of batches works, and what a setting's text means.

use std::{error::Error as StdError, fmt, time::Duration};

/// What happens to an item that finds the buffer full. To put it into temporary storage instead, take
/// [`Spilling`](super::Spilling).
///
/// ```
/// use narrows_core::batch::{BatchOptions, Overflow};
///
/// assert_eq!(BatchOptions::new().overflow(Overflow::DropOldest).overflow, Overflow::DropOldest);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits until there is room.
    #[default]
    Wait,
    /// The oldest items that are not in flight make room for it, evicted.
    DropOldest,
    /// It is evicted itself.
    DropNewest,
}

/// How a buffer works. The defaults suit an API that takes some dozens of items a call.
///
/// ```
/// use std::time::Duration;
/// use narrows_core::batch::BatchOptions;
///
/// let mut options = BatchOptions::new().batch_items(50).flush_after(Duration::from_secs(10));
/// options.set("items_max", "2000")?; // from a file, or the environment
/// assert_eq!((options.batch_items, options.items_max), (50, 2000));
/// # Ok::<_, narrows_core::batch::BadSetting>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Items held at most, those in flight included. Default 1,000.
    pub items_max: usize,
    /// Bytes held at most, those in flight included. Default 8 MiB.
    pub bytes_max: u64,
    /// Bytes of the largest item. They are reserved for as long as the buffer lives, so that one
    /// item always fits; more is taken from the budget while it is free. Default 64 KiB.
    pub item_bytes_max: u64,
    /// Items of a batch at most; so many make one due. Default 100.
    pub batch_items: usize,
    /// Bytes of a batch at most, but for a single item; so many make one due. Default 1 MiB.
    pub batch_bytes: u64,
    /// A batch is due when its oldest item has waited for so long. Default 30 s.
    pub flush_after: Duration,
    /// Batches in flight at once. Default 1.
    pub in_flight_max: usize,
    /// What happens to an item that finds the buffer full. Default: it waits.
    pub overflow: Overflow,
    /// Times that an item is tried before it is abandoned. Default 3.
    pub attempts_max: u32,
    /// Ceiling of the first wait before an item is tried again. Default 1 s.
    pub backoff_min: Duration,
    /// Ceiling of any such wait. Default 1 minute.
    pub backoff_max: Duration,
    /// Items that have been held for longer are evicted. Default 1 h.
    pub age_max: Duration,
    /// How often that is looked after while nothing else happens. Default 15 minutes.
    pub sweep_every: Duration,
    /// Items that are older than this by their own time ([`Item::born`](super::Item::born)) are not
    /// worth delivering: they end as fallbacks. Default 2 h.
    pub stale_after: Duration,
    /// By how much an item is taken for older than it is for each level of its priority. So
    /// priority never lets others wait for ever. Default 1 minute.
    pub priority_worth: Duration,
    /// Batches in a row that fail before the destination is left alone. Default 5.
    pub breaker_after: u32,
    /// How long it is left alone at first; doubled up to 16 times that while it does not recover.
    /// Default 1 s.
    pub breaker_for: Duration,
    /// Seeds jitter.
    pub seed: u64,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            items_max: 1000,
            bytes_max: 8 << 20,
            item_bytes_max: 64 << 10,
            batch_items: 100,
            batch_bytes: 1 << 20,
            flush_after: Duration::from_secs(30),
            in_flight_max: 1,
            overflow: Overflow::Wait,
            attempts_max: 3,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            age_max: Duration::from_secs(3600),
            sweep_every: Duration::from_secs(900),
            stale_after: Duration::from_secs(7200),
            priority_worth: Duration::from_secs(60),
            breaker_after: 5,
            breaker_for: Duration::from_secs(1),
            seed: 0,
        }
    }
}

impl BatchOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters! {
        items_max: [usize],
        bytes_max: [u64],
        item_bytes_max: [u64],
        batch_items: [usize],
        batch_bytes: [u64],
        flush_after: [Duration],
        in_flight_max: [usize],
        overflow: [Overflow],
        attempts_max: [u32],
        backoff_min: [Duration],
        backoff_max: [Duration],
        age_max: [Duration],
        sweep_every: [Duration],
        stale_after: [Duration],
        priority_worth: [Duration],
        breaker_after: [u32],
        breaker_for: [Duration],
        seed: [u64],
    }

    /// Sets the option of this name, whatever the case: numbers, seconds with fractions for times,
    /// `wait`, `drop-oldest` or `drop-newest`. For settings from the environment or a file, which
    /// this crate does not read.
    ///
    /// # Errors
    ///
    /// [`BadSetting`], with the name and what was expected.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let value = value.trim();
        let bad = |expected| BadSetting { name: name.clone(), value: value.into(), expected };
        let number = || value.parse::<u64>().map_err(|_| bad("a whole number"));
        let count = || number()?.try_into().map_err(|_| bad("a smaller number"));
        let small = || number()?.try_into().map_err(|_| bad("a smaller number"));
        let seconds = || {
            let seconds = value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.ok_or_else(|| bad("a time in seconds"))
        };
        match name.as_str() {
            "items_max" => self.items_max = count()?,
            "bytes_max" => self.bytes_max = number()?,
            "item_bytes_max" => self.item_bytes_max = number()?,
            "batch_items" => self.batch_items = count()?,
            "batch_bytes" => self.batch_bytes = number()?,
            "flush_after" => self.flush_after = seconds()?,
            "in_flight_max" => self.in_flight_max = count()?,
            "overflow" => {
                self.overflow = match value {
                    "wait" => Overflow::Wait,
                    "drop-oldest" => Overflow::DropOldest,
                    "drop-newest" => Overflow::DropNewest,
                    _ => return Err(bad("wait, drop-oldest or drop-newest")),
                }
            }
            "attempts_max" => self.attempts_max = small()?,
            "backoff_min" => self.backoff_min = seconds()?,
            "backoff_max" => self.backoff_max = seconds()?,
            "age_max" => self.age_max = seconds()?,
            "sweep_every" => self.sweep_every = seconds()?,
            "stale_after" => self.stale_after = seconds()?,
            "priority_worth" => self.priority_worth = seconds()?,
            "breaker_after" => self.breaker_after = small()?,
            "breaker_for" => self.breaker_for = seconds()?,
            "seed" => self.seed = number()?,
            _ => return Err(bad("the name of an option")),
        }
        Ok(())
    }

    /// What nothing can work without is there.
    pub(super) fn corrected(self) -> Self {
        Self {
            items_max: self.items_max.max(1),
            batch_items: self.batch_items.max(1),
            in_flight_max: self.in_flight_max.max(1),
            attempts_max: self.attempts_max.max(1),
            item_bytes_max: self.item_bytes_max.min(self.bytes_max),
            ..self
        }
    }
}

/// A setting that is none.
///
/// ```
/// let error = narrows_core::batch::BatchOptions::new().set("age_max", "soon").unwrap_err();
/// assert_eq!(error.to_string(), "age_max = \"soon\": expected a time in seconds");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BadSetting {
    /// Its name.
    pub name: String,
    /// What was given.
    pub value: String,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?}: expected {}", self.name, self.value, self.expected)
    }
}

impl StdError for BadSetting {}
