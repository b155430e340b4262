//! A body that is made as it is sent, and breaks where it was asked to.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::{content::Content, faults::Faults};

/// Bytes handed to the connection at once.
const CHUNK: u64 = 64 << 10;

pub(crate) struct OriginBody {
    content: Option<Content>,
    /// Counted among those that are being sent.
    _open: Option<Arc<()>>,
    at: u64,
    end: u64,
    /// Bytes sent, and how many until each fault.
    sent: u64,
    reset: Option<u64>,
    cut: Option<u64>,
    stall: Option<u64>,
    rate: Option<u64>,
    flushed: bool,
    wait: Option<Pin<Box<Sleep>>>,
}

impl OriginBody {
    pub(crate) fn empty() -> Self {
        let (reset, cut, stall, rate) = (None, None, None, None);
        Self { content: None, _open: None, at: 0, end: 0, sent: 0, reset, cut, stall, rate, flushed: false, wait: None }
    }

    pub(crate) fn new(content: Content, at: u64, end: u64, faults: &Faults, open: Arc<()>) -> Self {
        let Faults { reset, cut, stall, rate, .. } = *faults;
        let (content, open) = (Some(content), Some(open));
        Self { content, _open: open, at, end, sent: 0, reset, cut, stall, rate, flushed: false, wait: None }
    }
}

impl Body for OriginBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let reached = |fault: Option<u64>| fault.is_some_and(|at| self.sent >= at);
        if !self.flushed && (reached(self.reset) || reached(self.cut)) {
            // What was sent before the break must arrive: the connection drops what it still has.
            self.flushed = true;
            let mut wait = Box::pin(sleep(Duration::from_millis(20)));
            let _ = wait.as_mut().poll(cx);
            self.wait = Some(wait);
            return Poll::Pending;
        }
        if reached(self.reset) {
            return Poll::Ready(Some(Err(io::Error::other("reset on request"))));
        }
        if reached(self.cut) || self.at >= self.end {
            return Poll::Ready(None);
        }
        if reached(self.stall) {
            let mut wait = Box::pin(sleep(Duration::from_secs(1 << 30)));
            let _ = wait.as_mut().poll(cx);
            self.wait = Some(wait);
            return Poll::Pending;
        }
        let next_fault = [self.reset, self.cut, self.stall].into_iter().flatten().min();
        let mut length = CHUNK.min(self.end - self.at);
        length = length.min(next_fault.map_or(length, |at| at - self.sent));
        if let Some(rate) = self.rate {
            length = length.min((rate / 10).max(1));
            let pause = Duration::from_secs_f64(length as f64 / rate as f64);
            self.wait = Some(Box::pin(sleep(pause)));
        }
        let Some(content) = &self.content else { return Poll::Ready(None) };
        let chunk = content.read(self.at, length);
        if let Ok(chunk) = &chunk {
            self.at += chunk.len() as u64;
            self.sent += chunk.len() as u64;
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }
}
