//! What happens, answer by answer, where bodies are drained in segments.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use narrows_core::{
    Budget, Clock, Options, Outcome, Proof, Source, Timestamp, Window,
    fetch::{Body, ByteRange, ContentRange, Fetch, FetchErrorKind, Head, Profile, Request, Response},
    unpack,
};
use narrows_sim::{SimError, Style};

/// Gives the next answer to whatever it is asked, at once.
#[derive(Clone, Default)]
struct Scripted {
    answers: Rc<RefCell<VecDeque<(Head, ScriptedBody)>>>,
    asked: Rc<RefCell<Vec<Option<ByteRange>>>>,
}

struct ScriptedBody {
    chunks: VecDeque<&'static [u8]>,
    breaks: bool,
}

impl Fetch for Scripted {
    type Error = SimError;
    type Body = ScriptedBody;
    type Future = Ready<Result<Response<ScriptedBody>, SimError>>;

    fn profile(&self) -> Profile {
        Profile { holds_back: false, exchange_bytes: 64 }
    }

    fn fetch(&self, request: Request) -> Self::Future {
        self.asked.borrow_mut().push(request.range);
        let answer = self.answers.borrow_mut().pop_front();
        ready(answer.map(|(head, body)| Response { head, body }).ok_or(SimError(FetchErrorKind::Tls)))
    }
}

impl Body for ScriptedBody {
    type Error = SimError;

    fn poll_chunk(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SimError>>> {
        Poll::Ready(match self.chunks.pop_front() {
            Some(chunk) => Some(Ok(Bytes::from_static(chunk))),
            None if self.breaks => Some(Err(SimError(FetchErrorKind::Interrupted))),
            None => None,
        })
    }
}

/// Time stands still, and every wait is over at once.
#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    type Sleep = Ready<()>;

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn sleep_until(&self, _deadline: Timestamp) -> Ready<()> {
        ready(())
    }
}

fn answer(head: Head, chunks: &[&'static [u8]], breaks: bool) -> (Head, ScriptedBody) {
    (head, ScriptedBody { chunks: chunks.iter().copied().collect(), breaks })
}

fn scripted(answers: impl Into<VecDeque<(Head, ScriptedBody)>>) -> Scripted {
    Scripted { answers: Rc::new(RefCell::new(answers.into())), ..Scripted::default() }
}

/// A part of eight bytes, without any validator.
fn part(start: u64, end: u64) -> Head {
    let range = Some(ContentRange { part: Some((start, end)), total: Some(8) });
    Head { status: 206, range, length: Some(end - start), ..Head::default() }
}

/// Downloads what the script gives: how it ended, what came, and what was asked for.
fn download(answers: Vec<(Head, ScriptedBody)>, segment_bytes: u64) -> (Outcome, Vec<u8>, Vec<Option<ByteRange>>) {
    let fetch = scripted(answers);
    let options = Options::new().segment_bytes(segment_bytes);
    let budget = Budget::new(options.working_set(fetch.profile()).total() + 64); // room for a whole
    let mut window =
        Window::from_iter([Source::new("sim://origin/file")], fetch.clone(), Still, &budget, options).unwrap();
    let mut delivery = window.next().now_or_never().flatten().expect("at once");
    let mut bytes = Vec::new();
    while let Ok(Some(block)) = delivery.next_block().now_or_never().expect("at once") {
        bytes.extend_from_slice(&block);
    }
    let outcome = delivery.finish().outcome;
    drop(window);
    assert_eq!(budget.reserved(), 0);
    let asked = fetch.asked.borrow().clone();
    (outcome, bytes, asked)
}

fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Failed(failure) => failure.kind.code(),
        other => other.name(),
    }
}

#[test]
fn a_body_of_unknown_length_may_be_as_long_as_a_segment() {
    let whole = Head { status: 200, ..Head::default() };
    // It may be the part that was asked for, so it is asked for once more without a range.
    let segment = || answer(whole.clone(), &[b"abcd", b"efgh"], false);
    let (outcome, bytes, asked) = download(vec![segment(), segment()], 8);
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::UnverifiedEnd), &b"abcdefgh"[..]));
    assert_eq!(asked.last(), Some(&None));
    let (outcome, ..) = download(vec![answer(whole, &[b"abcd", b"efgh", b"i"], false)], 8);
    assert_eq!(code(&outcome), "needs_ranges");
}

/// What a service worker makes of a part when it wraps its bytes in an answer of its own.
#[test]
fn a_part_that_was_rewrapped_is_not_taken_for_the_file() {
    let plain = || answer(Head { status: 200, length: Some(8), ..Head::default() }, &[b"abcdefgh"], false);
    let rewrapped = [
        Head { status: 200, ..part(0, 4) },                       // its headers kept
        Head { status: 200, length: Some(4), ..Head::default() }, // its length kept
        Head { status: 200, ..Head::default() },                  // nothing kept
    ];
    for head in rewrapped {
        let (outcome, bytes, asked) = download(vec![answer(head.clone(), &[b"abcd"], false), plain()], 4);
        assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::Length), &b"abcdefgh"[..]), "{head:?}");
        assert_eq!(asked, [Some(ByteRange { start: 0, end: Some(4) }), None]);
        // Where asking plainly gives the part again, it is a failure and never a short file.
        let again = || answer(Head { status: 200, ..part(0, 4) }, &[b"abcd"], false);
        let (outcome, ..) =
            download(vec![answer(head, &[b"abcd"], false), again(), again(), again(), again(), again()], 4);
        assert_eq!(code(&outcome), "bad_range");
    }
}

#[test]
fn where_headers_are_hidden_a_short_part_is_not_the_end() {
    let hidden = |status, length| Head { status, length: Some(length), hidden: true, ..Head::default() };
    let nothing = || answer(hidden(416, 0), &[], false);
    let (outcome, bytes, asked) = download(
        vec![answer(hidden(206, 2), &[b"ab"], false), answer(hidden(206, 4), &[b"cdef"], false), nothing()],
        4,
    );
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::UnverifiedEnd), &b"abcdef"[..]));
    assert_eq!(asked[1], Some(ByteRange { start: 2, end: Some(6) }));
    // That the first part does not exist is no proof of an empty file.
    let whole = answer(Head { status: 200, length: Some(3), hidden: true, ..Head::default() }, &[b"abc"], false);
    let (outcome, bytes, _) = download(vec![nothing(), whole], 4);
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::Length), &b"abc"[..]));
}

#[test]
fn without_a_validator_a_broken_part_is_asked_for_again_and_compared() {
    let broken = || answer(part(0, 8), &[b"abcd"], true);
    let (outcome, bytes, asked) = download(vec![broken(), answer(part(0, 8), &[b"abcdef", b"gh"], false)], 8);
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::Length), &b"abcdefgh"[..]));
    assert_eq!(asked[1].map(|range| range.start), Some(0), "as a whole");
    // Another version, and nothing handed out yet: it starts over.
    let other = || answer(part(0, 8), &[b"ABCDEFGH"], false);
    let (outcome, bytes, _) = download(vec![broken(), other(), other()], 8);
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::Length), &b"ABCDEFGH"[..]));
}

#[test]
fn parts_that_nothing_vouches_for_are_done_with_that_said() {
    let parts = || vec![answer(part(0, 4), &[b"abcd"], false), answer(part(4, 8), &[b"efgh"], false)];
    let (outcome, bytes, _) = download(parts(), 4);
    assert_eq!((outcome, &bytes[..]), (Outcome::Done(Proof::UnverifiedVersion), &b"abcdefgh"[..]));
    let mut dated = parts();
    for (head, _) in &mut dated {
        head.modified = Some("Mon, 05 Jan 2026 00:00:00 GMT".into());
    }
    assert_eq!(download(dated, 4).0, Outcome::Done(Proof::Length));
}

#[test]
fn sources_that_fail_at_once_wait_to_be_taken_all_the_same() {
    let pulled = Rc::new(Cell::new(0));
    let counter = pulled.clone();
    let sources = (0..1000).map(move |number| {
        counter.set(counter.get() + 1);
        Source::new(format!("sim://origin/{number}"))
    });
    let (fetch, budget) = (Scripted::default(), Budget::new(1 << 30));
    let options = Options::new().limit(4);
    let mut window = Window::from_iter(sources, fetch, Still, &budget, options).unwrap();
    for taken in 0..1000 {
        assert!(window.drive().now_or_never().is_none() || taken >= 996);
        assert_eq!(pulled.get(), (taken + 4).min(1000), "no further ahead than the limit");
        assert!(matches!(window.next().now_or_never(), Some(Some(_))));
    }
    assert!(matches!(window.next().now_or_never(), Some(None)));
}

#[test]
fn an_end_behind_what_was_received_is_another_version() {
    // Broken within its second part, which is asked for again; meanwhile the file has become four
    // bytes long.
    let gone = Head { status: 416, range: ContentRange::parse("bytes */4"), ..Head::default() };
    let head =
        |start, end| Head { range: Some(ContentRange { part: Some((start, end)), total: None }), ..part(start, end) };
    let broken =
        vec![answer(head(0, 4), &[b"abcd"], false), answer(head(4, 8), &[b"ef"], true), answer(gone, &[], false)];
    let (outcome, ..) = download(broken, 4);
    assert_eq!(code(&outcome), "changed");
}

/// Collects three entries of 1,000 bytes, where so many are set aside and `free` bytes are free
/// besides: how many came and how many were refused.
fn collect_three(free: u64, keeps: bool) -> (usize, u32) {
    let entries: Vec<_> = (0..3).map(|number| (format!("{number}"), vec![b'x'; 1000])).collect();
    let archive: &'static [u8] = narrows_sim::zip(&entries, || Style::Stored).leak();
    let whole = Head { status: 200, length: Some(archive.len() as u64), ..Head::default() };
    let fetch = scripted([answer(whole, &[archive], false)]);
    let options = Options::new().unpack(unpack::Options::default()).collect_max(1000);
    let budget = Budget::new(options.working_set(fetch.profile()).total() + free);
    let mut window = Window::from_iter([Source::new("sim://origin/a.zip")], fetch, Still, &budget, options).unwrap();
    let mut delivery = window.next().now_or_never().flatten().expect("at once");
    let mut entry = delivery.next_entry().now_or_never().expect("at once");
    let others = budget.capacity() - budget.reserved() - free;
    let _others = budget.claim(others).unwrap().now_or_never().expect("at once");
    let (mut kept, mut came, mut refused) = (Vec::new(), 0, 0);
    while let Ok(Some(_)) = entry {
        match delivery.collect(1000).now_or_never().expect("at once") {
            Ok(collected) => {
                assert!(collected.charged() >= 1000);
                came += 1;
                kept.extend(keeps.then_some(collected));
            }
            Err(failure) => refused += u32::from(failure.kind.code() == "too_big_to_collect"),
        }
        entry = delivery.next_entry().now_or_never().expect("at once");
    }
    drop((delivery, window, kept, _others));
    assert_eq!(budget.reserved(), 0);
    (came, refused)
}

#[test]
fn what_was_set_aside_for_collecting_is_there_once_at_a_time() {
    // One from what was set aside, one from what is free, and none from what is in use.
    assert_eq!(collect_three(1000, true), (2, 1));
    // What is dropped is set aside again.
    assert_eq!(collect_three(0, false), (3, 0));
}
