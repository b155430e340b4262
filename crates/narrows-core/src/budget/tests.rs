use futures_util::task::noop_waker_ref;

use super::*;

fn poll(claim: &mut Claim) -> Option<Reservation> {
    match Pin::new(claim).poll(&mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(reservation) => Some(reservation),
        Poll::Pending => None,
    }
}

#[test]
fn grants_are_first_come_first_served() {
    let budget = Budget::new(10);
    let held = poll(&mut budget.claim(6).unwrap()).unwrap();
    let (mut large, mut small) = (budget.claim(8).unwrap(), budget.claim(1).unwrap());
    assert!(poll(&mut small).is_none(), "a small claim must not pass a large one");
    assert!(poll(&mut large).is_none());
    drop(held);
    let large = poll(&mut large).unwrap();
    let small = poll(&mut small).unwrap();
    assert_eq!((budget.reserved(), budget.peak()), (9, 9));
    drop((large, small));
    assert_eq!((budget.reserved(), budget.peak(), budget.waiting()), (0, 9, 0));
}

#[test]
fn a_dropped_claim_makes_way() {
    let budget = Budget::new(10);
    let held = poll(&mut budget.claim(10).unwrap()).unwrap();
    let (first, mut second) = (budget.claim(10).unwrap(), budget.claim(1).unwrap());
    assert!(poll(&mut second).is_none());
    drop((held, first));
    assert_eq!(poll(&mut second).unwrap().bytes(), 1);
}

#[test]
fn a_nested_budget_counts_in_both() {
    let outer = Budget::new(10);
    let inner = outer.nested(6);
    assert_eq!(inner.claim(7).unwrap_err(), BudgetTooSmall { needed: 7, capacity: 6 });
    let mut held = poll(&mut inner.claim(4).unwrap()).unwrap();
    assert_eq!((inner.reserved(), outer.reserved()), (4, 4));
    let mut other = poll(&mut outer.claim(5).unwrap()).unwrap();
    let mut waiting = inner.claim(2).unwrap();
    assert!(poll(&mut waiting).is_none(), "there is room inside, not outside");
    assert_eq!((inner.reserved(), outer.reserved()), (6, 9));
    drop(waiting);
    assert_eq!((inner.reserved(), outer.reserved()), (4, 9));
    assert!(!held.try_grow(2) && held.try_grow(1));
    other.shrink_to(1);
    let part = held.split(3);
    drop((held, other));
    assert_eq!((inner.reserved(), outer.reserved()), (3, 3));
    drop(part);
    assert_eq!((inner.reserved(), outer.reserved()), (0, 0));
}

#[test]
fn a_lowered_target_is_kept_as_reservations_return_and_never_stops_work() {
    let budget = Budget::new(10);
    let held = poll(&mut budget.claim(8).unwrap()).unwrap();
    budget.set_target(3);
    let (mut large, mut small) = (budget.claim(5).unwrap(), budget.claim(1).unwrap());
    assert!(poll(&mut large).is_none() && budget.reserved() == 8, "what is reserved stays");
    drop(held);
    let large = poll(&mut large).expect("alone, it passes the target");
    assert!(poll(&mut small).is_none(), "5 of 3 are reserved");
    budget.set_target(99);
    assert_eq!((budget.target(), poll(&mut small).unwrap().bytes()), (10, 1));
    drop(large);
}

#[test]
fn what_is_set_aside_is_nobody_elses() {
    let budget = Budget::new(10);
    let (rest, aside) = budget.set_aside(4).unwrap();
    let all = poll(&mut rest.claim(6).unwrap()).unwrap();
    assert!(poll(&mut rest.claim(1).unwrap()).is_none());
    assert_eq!(poll(&mut aside.claim(4).unwrap()).unwrap().bytes() + all.bytes(), 10);
    assert!(budget.set_aside(10).is_err() && budget.set_aside(11).is_err());
}

#[test]
#[should_panic(expected = "more given back than was reserved")]
fn a_counter_never_wraps() {
    Budget::new(10).give_back(1);
}
