//! What the npm package's batches stand on: the buffer of `narrows_core`, whose items stay in
//! JavaScript and are known here by number. A module of its own, for those who need it.
//!
//! It is no interface for users: `npm/batches.js` wraps it.
#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use js_sys::{Array, Function, Object, Promise, Reflect};
use narrows_browser::{BrowserClock, Given};
use narrows_core::{
    Budget, Clock, Timestamp,
    batch::{Batch, BatchOptions, Batches, Bound, End, Ended, Item, Overflow, Settled},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::{future_to_promise, spawn_local};

/// What is left out has the core's default. Times are milliseconds.
fn read(value: &JsValue) -> Result<BatchOptions, String> {
    let given = Given::new(value, "")?;
    let defaults = BatchOptions::new();
    let overflow =
        [("wait", Overflow::Wait), ("drop-oldest", Overflow::DropOldest), ("drop-newest", Overflow::DropNewest)];
    let options = BatchOptions::new()
        .items_max(given.usize("maxItems", defaults.items_max)?)
        .bytes_max(given.u64("maxBytes", defaults.bytes_max)?)
        .item_bytes_max(given.u64("maxItemBytes", defaults.item_bytes_max)?)
        .batch_items(given.usize("batchItems", defaults.batch_items)?)
        .batch_bytes(given.u64("batchBytes", defaults.batch_bytes)?)
        .flush_after(given.millis("flushAfter", defaults.flush_after)?)
        .in_flight_max(given.usize("maxInFlight", defaults.in_flight_max)?)
        .overflow(given.word("overflow", &overflow)?)
        .attempts_max(given.u32("attempts", defaults.attempts_max)?)
        .backoff_min(given.millis("minBackoff", defaults.backoff_min)?)
        .backoff_max(given.millis("maxBackoff", defaults.backoff_max)?)
        .age_max(given.millis("maxAge", defaults.age_max)?)
        .sweep_every(given.millis("sweepEvery", defaults.sweep_every)?)
        .stale_after(given.millis("staleAfter", defaults.stale_after)?)
        .priority_worth(given.millis("priorityWorth", defaults.priority_worth)?)
        .breaker_after(given.u32("breakerAfter", defaults.breaker_after)?)
        .breaker_for(given.millis("breakerFor", defaults.breaker_for)?)
        .seed((js_sys::Math::random() * 2f64.powi(53)) as u64);
    given.end()?;
    Ok(options)
}

/// A bounded buffer of items, known by number.
#[wasm_bindgen]
pub struct RawBatches(Batches<f64, BrowserClock>);

/// Ends on their way to JavaScript, which is called from a task of its own: never in the middle of
/// one of its own calls.
#[derive(Default)]
struct Ends {
    ended: Mutex<(VecDeque<Ended<f64>>, IsLast)>,
    waker: AtomicWaker,
}

/// Nothing more will end.
type IsLast = bool;

/// The buffer's end of that: gone with it.
struct Telling(Arc<Ends>);

impl Telling {
    fn change(&self, change: impl FnOnce(&mut (VecDeque<Ended<f64>>, IsLast))) {
        change(&mut self.0.ended.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.waker.wake();
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.change(|(_, is_last)| *is_last = true);
    }
}

#[wasm_bindgen]
impl RawBatches {
    /// A buffer with a budget of so many bytes. `told` is called with `(item, end, reason, attempts,
    /// heldFor, number)`.
    pub async fn open(options: JsValue, budget: f64, told: Function) -> Result<RawBatches, JsValue> {
        let (options, budget) = (read(&options)?, Budget::new(budget as u64));
        let ends = Arc::new(Ends::default());
        let telling = Telling(ends.clone());
        let observer = move |ended| telling.change(|(all, _)| all.push_back(ended));
        let opened = Batches::open(BrowserClock, &budget, options, observer).await;
        let batches = opened.map_err(|error| error.to_string())?;
        spawn_local(async move {
            while let Some(ended) = poll_fn(|cx| {
                ends.waker.register(cx.waker());
                let (all, is_last) = &mut *ends.ended.lock().unwrap_or_else(PoisonError::into_inner);
                match all.pop_front() {
                    None if !*is_last => Poll::Pending,
                    next => Poll::Ready(next),
                }
            })
            .await
            {
                tell(&told, &ended);
            }
        });
        Ok(Self(batches))
    }

    /// Puts an item in; its number, once there is room.
    pub fn push(&self, item: f64, bytes: f64, priority: i32, age: f64) -> Promise {
        let batches = self.0.clone();
        let mut item = Item::new(item, bytes as u64).priority(priority);
        if age > 0.0 {
            let now = BrowserClock.now();
            item = item.born(Timestamp(now.0.saturating_sub(Duration::from_millis(age as u64))));
        }
        future_to_promise(async move {
            match batches.push(item).await {
                Ok(number) => Ok((number as f64).into()),
                Err(_) => Err("the buffer is closed".into()),
            }
        })
    }

    /// The next batch; undefined at the end.
    pub fn next(&self) -> Promise {
        let batches = self.0.clone();
        future_to_promise(async move {
            let batch = batches.next_batch().await;
            Ok(batch.map_or(JsValue::UNDEFINED, |batch| RawBatch(Rc::new(RefCell::new(Some(batch)))).into()))
        })
    }

    /// Makes a batch due of what there is.
    pub fn flush(&self) {
        self.0.flush();
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.0.close();
    }

    /// A snapshot.
    pub fn stats(&self) -> JsValue {
        let stats = self.0.stats();
        let object = Object::new();
        let set = |name: &str, value: JsValue| drop(Reflect::set(&object, &name.into(), &value));
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let counts = [
            ("items", stats.items),
            ("maxItems", stats.items_max),
            ("bytes", stats.bytes),
            ("maxBytes", stats.bytes_max),
            ("reserved", stats.reserved),
            ("inFlight", stats.in_flight),
            ("waiting", stats.waiting),
            ("accepted", stats.accepted),
            ("delivered", stats.delivered),
            ("abandoned", stats.abandoned),
            ("fallback", stats.fallback),
            ("evictedItems", stats.evicted_items),
            ("evictedBytes", stats.evicted_bytes),
            ("evictedAge", stats.evicted_age),
            ("attempts", stats.attempts),
            ("retried", stats.retried),
            ("failedBatches", stats.failed_batches),
        ];
        counts.into_iter().for_each(|(name, count)| set(name, (count as f64).into()));
        set("meanAge", milliseconds(stats.mean_age).into());
        set("maxAge", milliseconds(stats.max_age).into());
        set("utilisation", stats.utilisation().into());
        set("breaker", stats.breaker.name().into());
        set("health", stats.to_string().into());
        object.into()
    }
}

fn tell(told: &Function, ended: &Ended<f64>) {
    let reason = match &ended.end {
        End::Delivered => None,
        End::Abandoned(reason) | End::Fallback(reason) => Some(&**reason),
        End::Evicted(bound) => Some(Bound::name(*bound)),
        _ => None,
    };
    let arguments: Array = [
        ended.value.into(),
        ended.end.name().into(),
        reason.map_or(JsValue::UNDEFINED, JsValue::from),
        ended.attempts.into(),
        (ended.held_for.as_secs_f64() * 1000.0).into(),
        (ended.number as f64).into(),
    ]
    .into_iter()
    .collect();
    // What JavaScript throws here is its own.
    let _ = told.apply(&JsValue::UNDEFINED, &arguments);
}

/// Items in flight. Freed unsettled, they come back.
#[wasm_bindgen]
pub struct RawBatch(Rc<RefCell<Option<Batch<f64, BrowserClock>>>>);

#[wasm_bindgen]
impl RawBatch {
    /// Of each item: what it is known by, its number, which attempt this is.
    pub fn items(&self) -> Vec<f64> {
        let batch = self.0.borrow();
        let members = batch.iter().flat_map(Batch::iter);
        members.flat_map(|member| [*member.value(), member.number() as f64, f64::from(member.attempt())]).collect()
    }

    /// Each item has its own answer: `verdicts` has one for each, in order, and its reason.
    pub fn settle(&self, verdicts: Vec<String>, reasons: Vec<String>) {
        let mut answers = verdicts.into_iter().zip(reasons);
        let Some(batch) = self.0.borrow_mut().take() else { return };
        batch.settle(|_| match answers.next() {
            Some((verdict, reason)) => match verdict.as_str() {
                "delivered" => Settled::Delivered,
                "abandoned" => Settled::Abandoned(reason.into()),
                "fallback" => Settled::Fallback(reason.into()),
                _ => Settled::Retry(reason.into()),
            },
            None => Settled::Retry("nothing was said of it".into()),
        });
    }

    /// The destination was not there; `after` is when it wants to be asked again, or negative.
    pub fn unavailable(&self, after: f64) {
        if let Some(batch) = self.0.borrow_mut().take() {
            batch.unavailable((after >= 0.0).then(|| Duration::from_millis(after as u64)));
        }
    }
}
