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
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

use futures_util::{
    Stream,
    future::{AbortHandle, abortable},
};
use js_sys::{Function, Promise};
use narrows_browser::BrowserClock;
use narrows_core::{Fetch, Handle, Observer, Options, Report, Window, report::Stall};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::{budget::RawBudget, errors, file::RawFile, options, reading::Reading, reports, source::Pulled};

/// Many files, some at a time.
#[wasm_bindgen]
pub struct RawStream {
    handover: Rc<Handover>,
    handle: Handle<BrowserClock>,
    driver: AbortHandle,
    stalled: Stalled,
}

/// What is to be said of a wait for memory in which nothing moved.
type Stalled = Arc<Mutex<Option<String>>>;

/// Keeps what is told for whoever asks for counters, and says it on the console.
struct Teller(Stalled);

impl Observer for Teller {
    fn ended(&self, _report: &Report) {}

    fn stalled(&self, stall: &Stall) {
        let text = stall.to_string();
        warn(&format!("narrows: {text}"));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn warn(text: &str);
}

/// Where the driving task leaves what is ready.
#[derive(Default)]
struct Handover {
    ready: RefCell<Option<Box<dyn Reading>>>,
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

impl Handover {
    fn put(&self, delivery: Option<Box<dyn Reading>>) {
        match delivery {
            Some(delivery) => *self.ready.borrow_mut() = Some(delivery),
            None => self.is_over.set(true),
        }
        wake(&self.consumer);
    }

    fn take(&self) -> Option<Box<dyn Reading>> {
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
        Self::over(pull, options, fetch, budget)
    }

    /// A promise of the next file, or of `undefined` at the end.
    pub fn next(&self) -> Promise {
        let handover = self.handover.clone();
        future_to_promise(poll_fn(move |cx| {
            if let Some(delivery) = handover.take() {
                return Poll::Ready(Ok(RawFile::new(delivery).into()));
            }
            if handover.is_over.get() {
                return Poll::Ready(Ok(JsValue::UNDEFINED));
            }
            *handover.consumer.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    /// A snapshot of its counters.
    pub fn stats(&self) -> JsValue {
        let stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        reports::stats(&self.handle.stats(), stalled.as_deref())
    }

    /// What each transfer is at, in the list's order.
    pub fn transfers(&self) -> JsValue {
        reports::transfers(&self.handle.transfers())
    }

    /// Changes how many may be in flight, at least 1.
    #[wasm_bindgen(js_name = setLimit)]
    pub fn set_limit(&self, limit: f64) -> Result<(), JsValue> {
        if !(limit >= 1.0 && limit.fract() == 0.0) {
            return Err(errors::invalid(format!("a limit must be at least 1, not {limit}")));
        }
        self.handle.set_limit(limit as usize);
        Ok(())
    }

    /// Pulls nothing more; what is in flight and not yet delivered is delivered as cancelled.
    pub fn cancel(&self) {
        self.handle.cancel();
        self.handover.ready.borrow().iter().for_each(|delivery| delivery.stop());
    }

    /// Drops everything that was not delivered: exchanges are aborted, memory is given back.
    pub fn close(&self) {
        self.driver.abort();
        drop(self.handover.take());
        self.handover.put(None);
    }
}

impl RawStream {
    /// Begins over any adapter.
    fn over<F: Fetch + Clone + 'static>(
        pull: Function,
        options: Options,
        fetch: F,
        budget: &RawBudget,
    ) -> Result<RawStream, JsValue> {
        let window = Window::new(Pulled::new(pull), fetch, BrowserClock, &budget.0, options);
        let stalled = Stalled::default();
        let mut window = window.map_err(|error| errors::options(&error))?.observed_by(Teller(stalled.clone()));
        let handle = window.handle();
        let handover = Rc::new(Handover::default());
        let filled = handover.clone();
        let (drive, driver) = abortable(poll_fn(move |cx| {
            while !filled.is_over.get() && filled.ready.borrow().is_none() {
                match Pin::new(&mut window).poll_next(cx) {
                    Poll::Ready(delivery) => filled.put(delivery.map(|delivery| Box::new(delivery) as _)),
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
        Ok(Self { handover, handle, driver, stalled })
    }
}

impl Drop for RawStream {
    fn drop(&mut self) {
        self.close();
    }
}
