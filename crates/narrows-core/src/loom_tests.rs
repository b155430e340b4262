//! All interleavings of two threads on a budget and on a lease: no wake-up is lost, nothing is
//! reserved twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use futures_util::task::noop_waker_ref;
use loom::{future::block_on, thread};

use crate::{
    budget::Budget,
    clock::Timestamp,
    lease::Lease,
    ledger::Ledger,
    working_set::{Term, WorkingSet},
};

#[test]
fn claims_on_two_threads_are_granted_one_after_another() {
    loom::model(|| {
        let budget = Budget::new(10);
        let in_use = Arc::new(AtomicU64::new(0));
        let run = |budget: Budget, in_use: Arc<AtomicU64>| {
            let reservation = block_on(budget.claim(6).unwrap());
            assert!(in_use.fetch_add(6, SeqCst) + 6 <= 10, "granted twice");
            in_use.fetch_sub(6, SeqCst);
            drop(reservation);
        };
        let (other, used) = (budget.clone(), in_use.clone());
        let second = thread::spawn(move || run(other, used));
        run(budget.clone(), in_use);
        second.join().unwrap();
        assert_eq!((budget.reserved(), budget.waiting()), (0, 0));
    });
}

#[test]
fn a_claim_that_leaves_wakes_the_next() {
    loom::model(|| {
        let budget = Budget::new(10);
        let held = block_on(budget.claim(10).unwrap());
        let mut leaving = budget.claim(10).unwrap();
        let other = budget.clone();
        let waiting = thread::spawn(move || block_on(other.claim(1).unwrap()).bytes());
        let polled = std::pin::Pin::new(&mut leaving).poll(&mut Context::from_waker(noop_waker_ref()));
        assert!(polled.is_pending());
        drop(leaving);
        drop(held);
        assert_eq!(waiting.join().unwrap(), 1);
    });
}

#[test]
fn a_block_dropped_elsewhere_wakes_who_waits_for_room() {
    loom::model(|| {
        let budget = Budget::new(100);
        let set = WorkingSet::default().with(Term::Blocks, 10);
        let reservation = block_on(budget.claim(set.total()).unwrap());
        let lease = Lease::new(0, reservation, set, 1, 10, Ledger::new("".into()));
        let Ok(mut buffer) = lease.buffer() else { panic!("the first") };
        buffer.push(b'x');
        let block = lease.block(buffer, Timestamp::default());
        let dropping = thread::spawn(move || drop(block));
        block_on(std::future::poll_fn(|cx| lease.poll_room(cx, false)));
        assert!(lease.buffer().is_ok(), "there is room");
        dropping.join().unwrap();
        lease.end();
        assert!(matches!(lease.poll_room(&mut Context::from_waker(noop_waker_ref()), false), Poll::Ready(())));
    });
}
