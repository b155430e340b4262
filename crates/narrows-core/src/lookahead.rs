//! Sources that were pulled and are not in flight: those that may not begin yet, and those that back
//! off. They hold neither memory of the budget nor a place.
//!
//! Where hosts have to wait or are many, the window looks some sources ahead, so that one host that
//! is slow, refuses or is asked for politely does not keep the others from being asked. How far is
//! bounded in sources and in bytes; what backs off comes on top, at most as many as were in flight.

use std::{collections::VecDeque, sync::Arc, task::Context};

use crate::{
    clock::{Clock, Timestamp},
    fetch::Fetch,
    flight::Shared,
    host::host_of,
    hosts::{Hosts, Permit, Pick},
    source::{BadLine, Source},
    ticket::Ticket,
};

/// Bytes of addresses and headers that are looked ahead at most.
const BYTES_MAX: usize = 64 << 10;

pub(crate) struct LookAhead<F: Fetch, C: Clock> {
    /// In the list's order.
    entries: VecDeque<Entry<F, C>>,
    /// Sum of their sizes.
    bytes: usize,
    entries_max: usize,
}

struct Entry<F: Fetch, C: Clock> {
    index: u64,
    host: Arc<str>,
    not_before: Timestamp,
    size: usize,
    waiting: Waiting<F, C>,
}

/// What waits to be admitted.
pub(crate) enum Waiting<F: Fetch, C: Clock> {
    /// It was never in flight.
    Fresh(Ticket, Option<BadLine>),
    /// It backs off.
    Parked(u64, Shared<F, C>, Source),
}

/// The choice among what waits.
pub(crate) enum Picked<F: Fetch, C: Clock> {
    /// This one, with its permit.
    Take(Box<Waiting<F, C>>, Permit),
    /// More is to be looked at first.
    LookOn,
    /// None before that time, or before something ends.
    Wait(Option<Timestamp>),
}

impl<F: Fetch, C: Clock> Waiting<F, C> {
    pub(crate) fn source(&self) -> &Source {
        match self {
            Self::Fresh(ticket, _) => &ticket.source,
            Self::Parked(_, _, source) => source,
        }
    }

    fn index(&self) -> u64 {
        match self {
            Self::Fresh(ticket, _) => ticket.index,
            Self::Parked(index, ..) => *index,
        }
    }
}

impl<F: Fetch, C: Clock> LookAhead<F, C> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, entries_max: entries_max.max(1) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more may be pulled from the list.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.is_empty() || (self.entries.len() < self.entries_max && self.bytes < BYTES_MAX)
    }

    pub(crate) fn push(&mut self, waiting: Waiting<F, C>, not_before: Timestamp) {
        let index = waiting.index();
        let source = waiting.source();
        let headers: usize = source.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = source.url.len() + headers + size_of::<Entry<F, C>>();
        let entry = Entry { index, host: host_of(&source.url), not_before, size, waiting };
        self.bytes += size;
        // What backs off goes back to its place in the list.
        let at = self.entries.iter().rposition(|other| other.index < index).map_or(0, |before| before + 1);
        self.entries.insert(at, entry);
    }

    /// What may be admitted now, if anything. With `looks_on`, more is to be had from the list.
    pub(crate) fn pick(&mut self, hosts: &Hosts, now: Timestamp, looks_on: bool, cx: &mut Context<'_>) -> Picked<F, C> {
        let candidates = self.entries.iter().map(|entry| (&entry.host, entry.not_before));
        match hosts.pick(now, candidates, looks_on, cx) {
            Pick::Wait(until) => Picked::Wait(until),
            Pick::LookOn => Picked::LookOn,
            Pick::Take(at, permit) => match self.entries.remove(at) {
                Some(entry) => {
                    self.bytes -= entry.size;
                    Picked::Take(Box::new(entry.waiting), permit)
                }
                None => unreachable!("one of the candidates was picked"),
            },
        }
    }

    /// Ends what waits: their tickets and flights tell that they are cancelled.
    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        drop(std::mem::take(&mut self.entries));
    }
}
