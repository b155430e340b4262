//! The journal: what a log says is what happened, wherever it breaks off.

use std::ops::Range;

use narrows_core::{
    Source,
    journal::{Evidence, Intent, Journal, JournalError, line_id},
};
use narrows_sim::journaling::check;

#[test]
fn whatever_happens_everything_is_done_in_the_end() {
    for seed in 0..1000 {
        check(seed).unwrap_or_else(|what| panic!("{what}"));
    }
}

/// A line that changed and changed back found its old range true, and another's file in its place.
#[test]
fn a_line_that_changes_back_is_fetched_again() {
    check(1023).unwrap();
}

fn lines(range: Range<u64>) -> Vec<u64> {
    range.map(|index| line_id(&Source::new(format!("http://h/{index}")))).collect()
}

/// A log of two hundred lines, every third of which failed, and what it has after each record.
fn log() -> (Vec<u8>, Vec<(usize, u64)>) {
    let mut journal = Journal::new(7);
    let mut log = journal.snapshot();
    let mut ends = vec![(log.len(), 0)];
    for (position, id) in (0..200).zip(lines(0..200)).filter(|(position, _)| position % 3 > 0) {
        let evidence = Evidence { inode: position, bytes: 1, modified: 2 };
        log.extend(journal.intend(position, Intent { id, evidence, path: format!("{position}.csv") }));
        ends.push((log.len(), journal.done_count()));
        log.extend(journal.done(position, id));
        ends.push((log.len(), journal.done_count()));
    }
    (log, ends)
}

#[test]
fn a_log_that_is_cut_anywhere_has_what_came_before() {
    let (log, ends) = log();
    for end in 0..=log.len() {
        match Journal::recover(&log[..end], 7) {
            Ok((found, torn)) => {
                let (whole, done) = ends.iter().rev().find(|(whole, _)| *whole <= end).copied().unwrap();
                assert_eq!((found.done_count(), torn as usize), (done, end - whole), "cut at {end}");
            }
            Err(error) => assert!(end < 24 && error == JournalError::NotAJournal, "cut at {end}: {error}"),
        }
    }
}

#[test]
fn a_log_that_was_written_twice_says_it_once() {
    let (log, _) = log();
    let twice = [&log[..], &log[24..]].concat();
    let (found, torn) = Journal::recover(&twice, 7).unwrap();
    assert_eq!((found.done_count(), torn), (133, 0));
}

#[test]
fn what_is_foreign_newer_or_damaged_is_refused_by_name() {
    let (mut log, _) = log();
    assert_eq!(Journal::recover(&log, 8).unwrap_err(), JournalError::OtherJob);
    assert_eq!(Journal::recover(b"{\"index\":0,\"url\":\"http://h/a\"}", 7).unwrap_err(), JournalError::NotAJournal);
    assert_eq!(Journal::recover(b"", 7).unwrap_err(), JournalError::NotAJournal);
    let mut newer = log.clone();
    newer[15] = 2;
    assert_eq!(Journal::recover(&newer, 7).unwrap_err(), JournalError::Newer { version: 2 });
    // Near its end it is as after a power cut; before that it is damage.
    let whole = log.clone();
    (0..8).for_each(|_| log.extend(&whole[24..]));
    log[100] ^= 1;
    assert!(matches!(Journal::recover(&log, 7), Err(JournalError::Damaged { at: 24..100 })));
}

#[test]
fn a_line_that_was_changed_makes_its_range_untrue() {
    let mut list = lines(0..10_000);
    let mut journal = Journal::new(7);
    (0..).zip(&list).for_each(|(position, id)| drop(journal.done(position, *id)));
    let verify = |journal: &mut Journal, list: &[u64]| journal.verify(|line| list.iter().for_each(|id| line(*id)));
    assert_eq!(verify(&mut journal, &list), 0);
    list.extend(lines(10_000..10_100));
    assert_eq!((verify(&mut journal, &list), journal.is_done(9_999), journal.is_done(10_000)), (0, true, false));
    list.swap(7_000, 7_001);
    let swapped = verify(&mut journal, &list);
    assert!((1..=1024).contains(&swapped) && !journal.is_done(7_000), "{swapped}: their names may be of their places");
    list[5_000] += 1;
    let forgotten = verify(&mut journal, &list);
    assert!((1..=1024).contains(&forgotten) && !journal.is_done(5_000) && journal.is_done(0), "{forgotten}");
    assert_eq!(verify(&mut journal, &list[..2_000]) + swapped + forgotten + journal.done_count(), 10_000);
    assert!(journal.is_done(0) && !journal.is_done(2_000));
}

#[test]
fn a_million_lines_take_a_few_kilobytes_and_many_failures_not_many() {
    let mut journal = Journal::new(7);
    let mut log = journal.snapshot();
    let mut largest = 0;
    for position in (0..1_000_000).filter(|position| position % 50 > 0) {
        log.extend(journal.done(position, position));
        if journal.is_long() {
            log = journal.snapshot();
        }
        largest = largest.max(log.len());
    }
    assert!(largest <= 64 << 10, "{largest} bytes");
    // A fiftieth failed: more holes than are kept, so some of what is done is forgotten.
    assert!(journal.done_count() > 80_000, "{}", journal.done_count());
}
