//! A stream of files, driven by a task of its own.
//!
//! Bodies must be drained while the consumer is busy elsewhere, so somebody has to poll the
//! window at all times. The task takes deliveries out of it into a queue: they keep their places
//! in flight and their memory there, so the queue is no longer than the limit.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use futures_util::{
    StreamExt,
    future::{AbortHandle, abortable},
};
use js_sys::{Function, Promise};
use narrows_browser::BrowserClock;
use narrows_core::{Handle, Window};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::{Delivery, budget::RawBudget, errors, file::RawFile, options, reports, source::Pulled};

/// Many files, some at a time.
#[wasm_bindgen]
pub struct RawStream {
    queue: Rc<Queue>,
    handle: Handle<BrowserClock>,
    driver: AbortHandle,
}

#[derive(Default)]
struct Queue {
    ready: RefCell<VecDeque<Delivery>>,
    is_over: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Queue {
    fn wake(&self) {
        let waiting = self.waiting.borrow_mut().take();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        self.is_over.set(true);
        self.wake();
    }
}

#[wasm_bindgen]
impl RawStream {
    /// Begins. `pull` gives a promise of the next source, or of `undefined` at the end.
    #[wasm_bindgen(constructor)]
    pub fn new(pull: Function, options: &JsValue, budget: &RawBudget) -> Result<RawStream, JsValue> {
        let options::Checked { options, fetch } = options::read(options)?;
        let window = Window::new(Pulled::new(pull), fetch, BrowserClock, &budget.0, options);
        let mut window = window.map_err(|error| errors::options(&error))?;
        let handle = window.handle();
        let queue = Rc::new(Queue::default());
        let filled = queue.clone();
        let (drive, driver) = abortable(async move {
            while let Some(delivery) = window.next().await {
                filled.ready.borrow_mut().push_back(delivery);
                filled.wake();
            }
            filled.end();
            // What was delivered may still be arriving.
            window.drive().await;
        });
        spawn_local(async move {
            let _ = drive.await;
        });
        Ok(Self { queue, handle, driver })
    }

    /// A promise of the next file, or of `undefined` at the end.
    pub fn next(&self) -> Promise {
        let queue = self.queue.clone();
        future_to_promise(poll_fn(move |cx| {
            if let Some(delivery) = queue.ready.borrow_mut().pop_front() {
                return Poll::Ready(Ok(RawFile::new(delivery).into()));
            }
            if queue.is_over.get() {
                return Poll::Ready(Ok(JsValue::UNDEFINED));
            }
            *queue.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    /// A snapshot of its counters.
    pub fn stats(&self) -> JsValue {
        reports::stats(&self.handle.stats())
    }

    /// What each transfer is at, in the list's order.
    pub fn transfers(&self) -> JsValue {
        reports::transfers(&self.handle.transfers())
    }

    /// Changes how many may be in flight, at least 1.
    #[wasm_bindgen(js_name = setLimit)]
    pub fn set_limit(&self, limit: f64) {
        self.handle.set_limit(limit as usize);
    }

    /// Pulls nothing more; what is in flight and not yet delivered is delivered as cancelled.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Drops everything that was not delivered: exchanges are aborted, memory is given back.
    pub fn close(&self) {
        self.driver.abort();
        self.queue.ready.borrow_mut().clear();
        self.queue.end();
    }
}

impl Drop for RawStream {
    fn drop(&mut self) {
        self.close();
    }
}
