//! What is ready and not yet taken, in the order of delivery.

use std::collections::{BTreeMap, VecDeque};

use crate::{clock::Clock, delivery::Delivery, fetch::Fetch, ledger::Ledger, options::Order};

/// Unless it has failed, what waits here holds its reservation and its place in flight.
pub(crate) struct Ready<F: Fetch, C: Clock> {
    queue: Queue<F, C>,
    ledger: Ledger,
}

enum Queue<F: Fetch, C: Clock> {
    AsReady(VecDeque<Delivery<F, C>>),
    /// By index; `next` is the one to deliver.
    Ordered {
        waiting: BTreeMap<u64, Delivery<F, C>>,
        next: u64,
    },
}

impl<F: Fetch, C: Clock> Ready<F, C> {
    pub(crate) fn new(order: Order, ledger: Ledger) -> Self {
        let queue = match order {
            Order::Ready => Queue::AsReady(VecDeque::new()),
            Order::List => Queue::Ordered { waiting: BTreeMap::new(), next: 0 },
        };
        Self { queue, ledger }
    }

    pub(crate) fn push(&mut self, delivery: Delivery<F, C>) {
        match &mut self.queue {
            Queue::AsReady(queue) => queue.push_back(delivery),
            Queue::Ordered { waiting, .. } => drop(waiting.insert(delivery.index(), delivery)),
        }
        self.ledger.lock().ready += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery<F, C>> {
        let delivery = match &mut self.queue {
            Queue::AsReady(queue) => queue.pop_front(),
            Queue::Ordered { waiting, next } => {
                let delivery = waiting.remove(next)?;
                *next += 1;
                Some(delivery)
            }
        };
        if delivery.is_some() {
            self.ledger.lock().ready -= 1;
        }
        delivery
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Delivery<F, C>> {
        let (queue, ordered) = match &self.queue {
            Queue::AsReady(queue) => (Some(queue), None),
            Queue::Ordered { waiting, .. } => (None, Some(waiting)),
        };
        queue.into_iter().flatten().chain(ordered.into_iter().flat_map(BTreeMap::values))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.queue {
            Queue::AsReady(queue) => queue.len(),
            Queue::Ordered { waiting, .. } => waiting.len(),
        }
    }
}
