//! A delivery of any adapter, behind one type: what JavaScript holds cannot be generic.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use narrows_core::{
    Block, Clock, Delivery, Failure, Fetch, Report,
    read::{Collected, Piece},
    unpack::Entry,
};

/// A future on the one thread there is.
pub(crate) type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What a file needs of a delivery.
pub(crate) trait Reading {
    fn index(&self) -> u64;
    fn public_url(&self) -> String;
    fn declared_length(&self) -> Option<u64>;
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Block>, Failure>>;
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Failure>>;
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Box<Entry>>, Failure>>;
    fn collect(&mut self, max: u64) -> Local<'_, Result<Collected, Failure>>;
    fn stop(&self);
    fn finish(self: Box<Self>) -> Report;
    fn fail(self: Box<Self>, reason: &str) -> Report;
    fn cancel(self: Box<Self>) -> Report;
}

impl<F: Fetch, C: Clock> Reading for Delivery<F, C> {
    fn index(&self) -> u64 {
        self.index()
    }

    fn public_url(&self) -> String {
        self.public_url()
    }

    fn declared_length(&self) -> Option<u64> {
        self.declared_length()
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Block>, Failure>> {
        self.poll_block(cx)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        self.poll_piece(cx)
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Box<Entry>>, Failure>> {
        self.poll_entry(cx)
    }

    fn collect(&mut self, max: u64) -> Local<'_, Result<Collected, Failure>> {
        Box::pin(self.collect(max))
    }

    fn stop(&self) {
        self.stop();
    }

    fn finish(self: Box<Self>) -> Report {
        (*self).finish()
    }

    fn fail(self: Box<Self>, reason: &str) -> Report {
        (*self).fail(reason)
    }

    fn cancel(self: Box<Self>) -> Report {
        (*self).cancel()
    }
}
