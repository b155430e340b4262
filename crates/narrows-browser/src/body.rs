//! A body as it arrives, copied into WebAssembly's memory in pieces.
//!
//! Where the platform reads into a buffer of ours (BYOB), that is one of a few that are used
//! again and again: garbage is what makes tabs grow. Elsewhere chunks come as large as the
//! platform likes, 11 MB have been seen, and are copied slice by slice.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use async_lock::SemaphoreGuardArc;
use bytes::Bytes;
use js_sys::{ArrayBuffer, Function, Reflect, Uint8Array};
use narrows_core::fetch::Body;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader};

use crate::{
    error::BrowserError,
    host::{self, ReadResult},
};

/// Size of a buffer to read into, and of the largest slice that is copied.
pub(crate) const BUFFER_BYTES: u32 = 256 << 10;

/// Buffers that wait to be used again. At most as many as there were bodies open at once, and no
/// more than [`KEPT_MAX`](Self::KEPT_MAX).
#[derive(Clone, Default)]
pub(crate) struct Buffers {
    kept: Rc<RefCell<Vec<ArrayBuffer>>>,
    /// Bytes drained since the collector was last told of some.
    uncounted: Rc<Cell<u32>>,
}

/// What a response leaves behind in the browser is small to the collector and large to the
/// machine: in Chromium some 50 KB, and a tab grew by 20 MB for a gigabyte in segments of 1 MiB. A
/// buffer that is allocated and never touched costs nothing and counts fully, so one of the size
/// of what has been drained lets the collector run as often as it should. (WebKit, which has no
/// readers into a buffer of ours, touches what it allocates; there chunks are released instead.)
const TELL_BYTES: u32 = 1 << 20;

impl Buffers {
    const KEPT_MAX: usize = 8;

    fn take(&self) -> ArrayBuffer {
        self.kept.borrow_mut().pop().unwrap_or_else(|| ArrayBuffer::new(BUFFER_BYTES))
    }

    fn put_back(&self, buffer: ArrayBuffer) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() < Self::KEPT_MAX && buffer.byte_length() == BUFFER_BYTES {
            kept.push(buffer);
        }
    }

    fn drained(&self, bytes: usize) {
        let uncounted = self.uncounted.get().saturating_add(u32::try_from(bytes).unwrap_or(TELL_BYTES));
        if uncounted >= TELL_BYTES {
            drop(ArrayBuffer::new(TELL_BYTES));
        }
        self.uncounted.set(uncounted % TELL_BYTES);
    }
}

/// Aborts its exchange when dropped, unless that is over.
pub(crate) struct AbortOnDrop {
    controller: Option<AbortController>,
}

impl AbortOnDrop {
    pub(crate) fn new(controller: AbortController) -> Self {
        Self { controller: Some(controller) }
    }

    fn over(&mut self) {
        self.controller = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = &self.controller {
            controller.abort();
        }
    }
}

/// A body as it arrives. Dropping it aborts its exchange.
pub struct FetchedBody {
    reader: Reader,
    /// The read in progress.
    reading: Option<JsFuture>,
    /// What is left of a chunk larger than a slice.
    rest: Option<Uint8Array>,
    buffers: Buffers,
    abort: AbortOnDrop,
    /// Given back to the next exchange for this host when the body is dropped.
    _place: SemaphoreGuardArc,
}

enum Reader {
    Byob(ReadableStreamByobReader),
    Default(ReadableStreamDefaultReader),
    /// There was no body, or it has ended.
    None,
}

impl std::fmt::Debug for FetchedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedBody").finish_non_exhaustive()
    }
}

impl FetchedBody {
    pub(crate) fn new(
        stream: Option<ReadableStream>,
        buffers: Buffers,
        abort: AbortOnDrop,
        place: SemaphoreGuardArc,
    ) -> Self {
        let reader = stream.map_or(Reader::None, |stream| Reader::of(&stream));
        Self { reader, reading: None, rest: None, buffers, abort, _place: place }
    }

    fn end(&mut self) {
        self.abort.over();
        self.reader = Reader::None;
    }

    /// Copies the next slice of what is left of a chunk.
    fn slice(&mut self) -> Option<Bytes> {
        let chunk = self.rest.take()?;
        let length = chunk.length().min(BUFFER_BYTES);
        let slice = chunk.subarray(0, length).to_vec();
        match length < chunk.length() {
            true => self.rest = Some(chunk.subarray(length, chunk.length())),
            false => release(&chunk.buffer()),
        }
        Some(slice.into())
    }
}

/// Frees a buffer's memory now rather than when it is collected, where the platform can.
fn release(buffer: &ArrayBuffer) {
    if let Ok(transfer) = host::get(buffer, "transfer").dyn_into::<Function>() {
        let _ = transfer.call1(buffer, &0.into());
    }
}

impl Reader {
    fn of(stream: &ReadableStream) -> Self {
        // `getReader({ mode: "byob" })` throws where the stream is none of bytes.
        let byob = || {
            let options = js_sys::Object::new();
            Reflect::set(&options, &"mode".into(), &"byob".into()).ok()?;
            let get_reader: Function = host::get(stream, "getReader").dyn_into().ok()?;
            get_reader.call1(stream, &options).ok()?.dyn_into().ok()
        };
        match byob() {
            Some(reader) => Self::Byob(reader),
            None => stream.get_reader().dyn_into().map_or(Self::None, Self::Default),
        }
    }

    fn read(&self, buffers: &Buffers) -> Option<JsFuture> {
        Some(JsFuture::from(match self {
            Self::Byob(reader) => reader.read_with_array_buffer_view(&Uint8Array::new(&buffers.take())),
            Self::Default(reader) => reader.read(),
            Self::None => return None,
        }))
    }
}

impl Body for FetchedBody {
    type Error = BrowserError;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrowserError>>> {
        let this = &mut *self;
        loop {
            if let Some(slice) = this.slice() {
                return Poll::Ready(Some(Ok(slice)));
            }
            let reading = match &mut this.reading {
                Some(reading) => reading,
                none => match this.reader.read(&this.buffers) {
                    Some(reading) => none.insert(reading),
                    None => return Poll::Ready(None),
                },
            };
            let read = ready!(Pin::new(reading).poll(cx));
            this.reading = None;
            let result = match read {
                Ok(result) => result,
                Err(reason) => {
                    this.end();
                    return Poll::Ready(Some(Err(BrowserError::interrupted(&reason))));
                }
            };
            let result: &ReadResult = result.unchecked_ref();
            let chunk = result.value().ok().and_then(|value| value.dyn_into::<Uint8Array>().ok());
            let is_over = result.done().unwrap_or(JsValue::TRUE) != JsValue::FALSE;
            match (&this.reader, chunk) {
                (Reader::Byob(_), Some(chunk)) => {
                    let bytes = (chunk.length() > 0).then(|| Bytes::from(chunk.to_vec()));
                    this.buffers.put_back(chunk.buffer());
                    if let Some(bytes) = bytes {
                        this.buffers.drained(bytes.len());
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                (_, chunk) => this.rest = chunk.filter(|chunk| chunk.length() > 0),
            }
            if is_over {
                this.end();
            }
        }
    }
}
