//! A stream of files, driven by a task of its own.
//!
//! Bodies must be drained while the consumer is busy elsewhere, so somebody has to poll the
//! window at all times. The task takes one delivery at a time out of it, for the consumer to
//! fetch: the window pulls no further ahead than its limit while deliveries wait in it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Poll, Waker},
};

use futures_util::{
    Stream,
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
    hatch: Rc<Hatch>,
    handle: Handle<BrowserClock>,
    driver: AbortHandle,
}

/// Where the driving task leaves what is ready.
#[derive(Default)]
struct Hatch {
    ready: RefCell<Option<Delivery>>,
    is_over: Cell<bool>,
    /// Who waits for something to be there.
    consumer: RefCell<Option<Waker>>,
    /// The task, while something is.
    driver: RefCell<Option<Waker>>,
}

fn wake(waiting: &RefCell<Option<Waker>>) {
    let waker = waiting.borrow_mut().take();
    waker.into_iter().for_each(Waker::wake);
}

impl Hatch {
    fn put(&self, delivery: Option<Delivery>) {
        match delivery {
            Some(delivery) => *self.ready.borrow_mut() = Some(delivery),
            None => self.is_over.set(true),
        }
        wake(&self.consumer);
    }

    fn take(&self) -> Option<Delivery> {
        let delivery = self.ready.borrow_mut().take();
        wake(&self.driver);
        delivery
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
        let hatch = Rc::new(Hatch::default());
        let filled = hatch.clone();
        let (drive, driver) = abortable(poll_fn(move |cx| {
            while !filled.is_over.get() && filled.ready.borrow().is_none() {
                match Pin::new(&mut window).poll_next(cx) {
                    Poll::Ready(delivery) => filled.put(delivery),
                    Poll::Pending => return Poll::Pending,
                }
            }
            // What was delivered may still be arriving.
            *filled.driver.borrow_mut() = Some(cx.waker().clone());
            match window.poll_drive(cx) {
                Poll::Ready(()) if filled.is_over.get() => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }));
        spawn_local(async move {
            let _ = drive.await;
        });
        Ok(Self { hatch, handle, driver })
    }

    /// A promise of the next file, or of `undefined` at the end.
    pub fn next(&self) -> Promise {
        let hatch = self.hatch.clone();
        future_to_promise(poll_fn(move |cx| {
            if let Some(delivery) = hatch.take() {
                return Poll::Ready(Ok(RawFile::new(delivery).into()));
            }
            if hatch.is_over.get() {
                return Poll::Ready(Ok(JsValue::UNDEFINED));
            }
            *hatch.consumer.borrow_mut() = Some(cx.waker().clone());
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
        drop(self.hatch.take());
        self.hatch.put(None);
    }
}

impl Drop for RawStream {
    fn drop(&mut self) {
        self.close();
    }
}
