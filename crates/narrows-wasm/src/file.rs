//! A file: entries and blocks, at the consumer's pace.
//!
//! A block's bytes are copied out into a buffer of JavaScript's; the block itself stays charged
//! for as long as that copy is lent, which is until the next one is asked for.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use futures_util::future::{AbortHandle, abortable};
use js_sys::{ArrayBuffer, Promise, Uint8Array};
use narrows_core::{
    Block, Failure, Outcome, Report,
    read::{Collected, Piece},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

use crate::{errors, reading::Reading, reports};

/// A source whose first bytes are there, or whose end is known.
#[wasm_bindgen]
pub struct RawFile(Rc<State>);

struct State {
    index: f64,
    /// Without user, password, query and fragment.
    url: String,
    size: Option<f64>,
    /// `None` while it is being collected, and after it was closed.
    delivery: RefCell<Option<Box<dyn Reading>>>,
    /// What JavaScript has a copy of.
    lent: RefCell<Option<Lent>>,
    /// How it ended, once it is closed.
    report: RefCell<Option<Report>>,
    /// Who waits for a block or an entry: closing must not leave it waiting for ever.
    waiting: RefCell<Option<Waker>>,
    /// Ends the collecting that has the delivery.
    collecting: RefCell<Option<AbortHandle>>,
    /// How the delivery is to end that is being collected.
    ending: RefCell<Option<End>>,
}

/// A way to end a delivery.
type End = Box<dyn FnOnce(Box<dyn Reading>) -> Report>;

/// Kept for its charge alone.
enum Lent {
    Block { _charged: Block },
    Collected { _charged: Collected },
}

impl State {
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut dyn Reading, &mut Context<'_>) -> Poll<Result<Option<T>, Failure>>,
    ) -> Poll<Result<Option<T>, JsValue>> {
        match &mut *self.delivery.borrow_mut() {
            Some(delivery) => {
                *self.waiting.borrow_mut() = Some(cx.waker().clone());
                poll(&mut **delivery, cx).map_err(|failure| errors::failure(&failure))
            }
            None => Poll::Ready(self.ending()),
        }
    }

    /// After the end, the end again.
    fn ending<T>(&self) -> Result<Option<T>, JsValue> {
        match &*self.report.borrow() {
            Some(Report { outcome: Outcome::Done(_) | Outcome::Skipped, .. }) => Ok(None),
            Some(Report { outcome: Outcome::Failed(failure), .. }) => Err(errors::failure(failure)),
            _ => Err(self.unavailable()),
        }
    }

    fn unavailable(&self) -> JsValue {
        match self.collecting.borrow().is_some() {
            true => errors::invalid("the file is being read as a whole already"),
            false => errors::closed(&self.url),
        }
    }

    /// Ends it where it is, in one of three ways.
    fn close(&self, end: impl FnOnce(Box<dyn Reading>) -> Report + 'static) {
        drop(self.lent.take());
        if let Some(delivery) = self.delivery.take() {
            self.report.replace(Some(end(delivery)));
        } else if let Some(collecting) = &*self.collecting.borrow() {
            self.ending.borrow_mut().get_or_insert(Box::new(end));
            collecting.abort();
        }
        let waiting = self.waiting.borrow_mut().take();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl RawFile {
    pub(crate) fn new(delivery: Box<dyn Reading>) -> Self {
        Self(Rc::new(State {
            index: delivery.index() as f64,
            url: delivery.public_url(),
            size: delivery.declared_length().map(|length| length as f64),
            delivery: RefCell::new(Some(delivery)),
            lent: RefCell::default(),
            report: RefCell::default(),
            waiting: RefCell::default(),
            collecting: RefCell::default(),
            ending: RefCell::default(),
        }))
    }
}

#[wasm_bindgen]
impl RawFile {
    /// Its place in the list, from 0.
    #[wasm_bindgen(getter)]
    pub fn index(&self) -> f64 {
        self.0.index
    }

    /// Its address, without user, password, query and fragment.
    #[wasm_bindgen(getter)]
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// Its length on the wire, as far as it was known when it was delivered.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> Option<f64> {
        self.0.size
    }

    /// A promise of the next block of the current entry, or of `undefined` at its end. It is
    /// copied into `into` where that is large enough. With `marks`, `null` stands between entries
    /// where none was opened.
    #[wasm_bindgen(js_name = nextBlock)]
    pub fn next_block(&self, into: Option<ArrayBuffer>, marks: bool) -> Promise {
        let state = self.0.clone();
        future_to_promise(async move {
            drop(state.lent.take());
            let next = poll_fn(|cx| match marks {
                true => state.poll(cx, poll_marked),
                false => state.poll(cx, |delivery, cx| delivery.poll_block(cx).map_ok(|block| block.map(Some))),
            });
            let block = match next.await? {
                None => return Ok(JsValue::UNDEFINED),
                Some(None) => return Ok(JsValue::NULL),
                Some(Some(block)) => block,
            };
            // As large as blocks get, so that it can serve for the next one.
            let capacity = u32::try_from(block.charged()).unwrap_or(u32::MAX);
            let into = into.filter(|into| into.byte_length() as usize >= block.len());
            let into = into.unwrap_or_else(|| ArrayBuffer::new(capacity));
            let copy = Uint8Array::new_with_byte_offset_and_length(&into, 0, block.len() as u32);
            copy.copy_from(&block);
            state.lent.replace(Some(Lent::Block { _charged: block }));
            Ok(copy.into())
        })
    }

    /// A promise of the next entry's description, or of `undefined` at the end. What is left of
    /// the one before is skipped.
    #[wasm_bindgen(js_name = nextEntry)]
    pub fn next_entry(&self) -> Promise {
        let state = self.0.clone();
        future_to_promise(async move {
            drop(state.lent.take());
            let entry = poll_fn(|cx| state.poll(cx, |delivery, cx| delivery.poll_entry(cx))).await?;
            Ok(entry.map_or(JsValue::UNDEFINED, |entry| reports::entry(&entry)))
        })
    }

    /// A promise of everything that is left, of at most `max` bytes.
    pub fn collect(&self, max: f64) -> Promise {
        let state = self.0.clone();
        future_to_promise(async move {
            drop(state.lent.take());
            let Some(mut delivery) = state.delivery.take() else {
                state.ending::<()>()?;
                return Err(errors::invalid(format!("{}: it has been read", state.url)));
            };
            let (collect, abort) = abortable(delivery.collect(max as u64));
            state.collecting.replace(Some(abort));
            let collected = collect.await;
            state.collecting.take();
            let Ok(collected) = collected else {
                let end = state.ending.take().unwrap_or_else(|| Box::new(|delivery| delivery.cancel()));
                state.report.replace(Some(end(delivery)));
                return Err(state.unavailable());
            };
            let collected = collected.map_err(|failure| errors::failure(&failure));
            state.delivery.replace(Some(delivery));
            let collected = collected?;
            let copy = Uint8Array::from(&collected[..]);
            // From here on they are JavaScript's; their charge stays until it asks for more.
            state.lent.replace(Some(Lent::Collected { _charged: collected.into_charge() }));
            Ok(copy.into())
        })
    }

    /// How it ended, once it has.
    pub fn report(&self) -> JsValue {
        self.0.report.borrow().as_ref().map_or(JsValue::UNDEFINED, reports::report)
    }

    /// What came is committed: done, if that was everything. Says how it ended.
    pub fn finish(&self) -> JsValue {
        self.0.close(|delivery| delivery.finish());
        self.report()
    }

    /// What came could not be kept: failed. Says how it ended.
    pub fn fail(&self, reason: &str) -> JsValue {
        let reason = reason.to_owned();
        self.0.close(move |delivery| delivery.fail(&reason));
        self.report()
    }

    /// Ends it where it is, gives back what was lent, and says how it ended.
    pub fn close(&self) -> JsValue {
        self.0.close(|delivery| delivery.cancel());
        self.report()
    }
}

/// The next block, or `Some(None)` where an entry ends.
fn poll_marked(delivery: &mut dyn Reading, cx: &mut Context<'_>) -> Poll<Result<Option<Option<Block>>, Failure>> {
    loop {
        return Poll::Ready(Ok(match ready!(delivery.poll_piece(cx))? {
            Piece::Entry(_) => continue,
            Piece::Block(block) => Some(Some(block)),
            Piece::EntryEnd => Some(None),
            Piece::End => None,
        }));
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        self.0.close(|delivery| delivery.cancel());
    }
}
