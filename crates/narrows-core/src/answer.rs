//! What an answer means for a transfer: a pure judgement of its head.
//!
//! Resuming is where downloaders corrupt files: a range of the new version is appended to the
//! old one. So a part is accepted only if it is the part that was asked for, of a resource of the
//! same length and, where there is one, with the same strong validator (RFC 9110, 8.8.1; weak
//! ones prove nothing). Any other answer starts over or fails.

use std::{sync::Arc, time::Duration};

use crate::{
    failure::FailureKind,
    fetch::ByteRange,
    head::{ContentRange, Head},
};

/// What the first good answer said of the resource; later ones must agree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pinned {
    /// Length of the whole on the wire.
    pub(crate) total: Option<u64>,
    /// Whether `total` was not said, but concluded from a part shorter than was asked for.
    pub(crate) inferred: bool,
    /// The strong validator.
    pub(crate) validator: Option<Arc<str>>,
    /// When it was last modified.
    pub(crate) modified: Option<Box<str>>,
    /// Whether the origin said that it has ranges.
    pub(crate) ranges: bool,
}

impl Pinned {
    fn of(head: &Head, total: Option<u64>) -> Self {
        let ranges = head.accepts_ranges || head.status == 206;
        Self { total, inferred: false, validator: strong(head), modified: head.modified.clone(), ranges }
    }

    /// Whether a broken-off body can be continued by a range that cannot be of another version.
    pub(crate) fn resumable(&self) -> bool {
        self.ranges && self.validator.is_some()
    }

    /// Whether another version would show in the head of its answers.
    pub(crate) fn tells_versions(&self) -> bool {
        self.validator.is_some() || self.modified.is_some()
    }
}

/// Whether a strong validator makes up for a date that is not there: a part need not have one
/// (RFC 9110, 15.3.7).
fn vouched_for(pinned: &Pinned, fresh: &Pinned) -> bool {
    fresh.modified.is_none() && pinned.validator.is_some() && pinned.validator == fresh.validator
}

fn strong(head: &Head) -> Option<Arc<str>> {
    let etag = head.etag.as_deref()?;
    (etag.starts_with('"') && etag.len() > 2).then(|| etag.into())
}

/// What to do with the body.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It continues at the offset asked for, and ends at `end`, if that is known.
    Continue { pinned: Pinned, end: Option<u64> },
    /// It starts at 0 again; `same` says that a strong validator vouches for its identity.
    Replay { end: Option<u64>, same: bool },
    /// There is nothing behind the offset asked for.
    Complete { pinned: Pinned },
    /// It is of another version.
    Changed,
    /// It contradicts itself or the request: what it is can only be told by asking without a range.
    AskPlain(&'static str),
    /// It is of no use.
    Failed(FailureKind, Option<Duration>),
}

/// Judges the head of an answer to a request for `asked` (`None`: everything), made at offset
/// `received` of a transfer for which `pinned` holds if anything was received.
pub(crate) fn judge(head: &Head, asked: Option<ByteRange>, received: u64, pinned: &Pinned) -> Verdict {
    let bad = |what| Verdict::Failed(FailureKind::BadRange(what), None);
    match (head.status, asked) {
        (206, Some(asked)) => {
            let range = match (head.range, head.length) {
                (Some(range), _) => range,
                (None, Some(length)) if head.hidden && length > 0 => concluded(asked, length),
                _ => return bad("206 without a valid Content-Range"),
            };
            let Some((start, end)) = range.part else { return bad("206 with an unsatisfied Content-Range") };
            if start != asked.start {
                return bad("another part than was asked for");
            }
            if asked.end.is_some_and(|last| end > last) {
                return bad("more than was asked for");
            }
            if head.length.is_some_and(|length| length != end - start) {
                return bad("a length other than the part's");
            }
            let fresh = Pinned { inferred: head.range.is_none(), ..Pinned::of(head, range.total) };
            if received == 0 {
                return Verdict::Continue { pinned: fresh, end: Some(end) };
            }
            let same_total = match (pinned.total, fresh.total) {
                (Some(before), Some(now)) => before == now,
                (Some(before), None) => end <= before,
                (None, _) => true,
            };
            // An answer without a validator, where there was one, proves nothing.
            let same_validator = pinned.validator.is_none() || pinned.validator == fresh.validator;
            let same_date = pinned.modified == fresh.modified || vouched_for(pinned, &fresh);
            match same_total && same_validator && same_date {
                true => {
                    let Pinned { total, inferred, .. } = if pinned.total.is_some() { pinned } else { &fresh };
                    let (total, inferred) = (*total, *inferred);
                    Verdict::Continue { pinned: Pinned { total, inferred, ..pinned.clone() }, end: Some(end) }
                }
                false => Verdict::Changed,
            }
        }
        // Everything, by the name of a part.
        (206, None) if head.range.is_some_and(|range| is_whole(range, head.length)) => {
            let length = head.length.or(head.range.and_then(|range| range.total));
            judge(&Head { status: 200, length, ..head.clone() }, asked, received, pinned)
        }
        (206, None) => bad("a part, though none was asked for"),
        // Whoever rewraps a part, as service workers do, makes a short file of it.
        (200 | 203, _) if head.range.is_some_and(|range| !is_whole(range, head.length)) => {
            Verdict::AskPlain("a whole body with the Content-Range of a part")
        }
        (200 | 203, Some(asked)) if head.length.is_some() && head.length == part_length(asked) => {
            Verdict::AskPlain("a whole body just as long as the part asked for")
        }
        // Who has ranges sends a part as one: a shorter whole in its place may be less than that.
        (200 | 203, Some(asked)) if received == 0 && head.accepts_ranges && is_shorter(head.length, asked) => {
            Verdict::AskPlain("a whole body, shorter than the part asked for, of an origin that has ranges")
        }
        (200 | 203, _) => {
            let fresh = Pinned::of(head, head.length);
            if received == 0 {
                return Verdict::Continue { pinned: fresh, end: head.length };
            }
            let same = pinned.validator.is_some() && pinned.validator == fresh.validator;
            let other = pinned.validator.is_some() && fresh.validator.is_some() && !same;
            let longer = matches!((pinned.total, fresh.total), (Some(before), Some(now)) if before != now);
            let other_date = pinned.modified != fresh.modified && !vouched_for(pinned, &fresh);
            match other || longer || other_date {
                true => Verdict::Changed,
                false => Verdict::Replay { end: head.length.or(pinned.total), same },
            }
        }
        (412, Some(_)) => Verdict::AskPlain("412, though nothing was made a condition"),
        (416, Some(_)) if received > 0 && head.modified.is_some() && head.modified != pinned.modified => {
            Verdict::Changed
        }
        (416, Some(_)) if received == 0 && head.range.is_none() => {
            Verdict::AskPlain("416, though there must be a first part")
        }
        // Behind what was received there is nothing, as far as is shown.
        (416, Some(asked)) if head.hidden && head.range.is_none() => match pinned.total {
            None if asked.start == received => {
                Verdict::Complete { pinned: Pinned { total: Some(received), inferred: true, ..pinned.clone() } }
            }
            _ => Verdict::Changed,
        },
        (416, Some(_)) => match head.range.and_then(|range| range.total) {
            // The resource ends where we are: there is nothing more.
            Some(total) if total == received && pinned.total.is_none_or(|before| before == total) => {
                Verdict::Complete { pinned: Pinned { total: Some(total), ..pinned.clone() } }
            }
            Some(_) if received > 0 => Verdict::Changed,
            _ => bad("416, though the part should exist"),
        },
        (status, _) => Verdict::Failed(FailureKind::Status(status), head.retry_after),
    }
}

/// The part that an answer must be if it is what was asked for, where its `Content-Range` is not
/// shown. That it is shorter than was asked for says nothing of the whole: what follows is asked
/// for until there is nothing.
fn concluded(asked: ByteRange, length: u64) -> ContentRange {
    ContentRange { part: Some((asked.start, asked.start.saturating_add(length))), total: None }
}

/// Whether a `Content-Range` is that of everything.
fn is_whole(range: ContentRange, length: Option<u64>) -> bool {
    range
        .part
        .is_some_and(|(start, end)| start == 0 && range.total == Some(end) && length.is_none_or(|length| length == end))
}

fn is_shorter(length: Option<u64>, asked: ByteRange) -> bool {
    length.zip(part_length(asked)).is_some_and(|(length, part)| length < part)
}

fn part_length(asked: ByteRange) -> Option<u64> {
    asked.end.map(|end| end.saturating_sub(asked.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, etag: &str, part: Option<(u64, u64)>, total: u64) -> Head {
        Head {
            status,
            etag: (!etag.is_empty()).then(|| etag.into()),
            range: part.map(|part| ContentRange { part: Some(part), total: Some(total) }),
            length: Some(part.map_or(total, |(start, end)| end - start)),
            ..Head::default()
        }
    }

    fn resumed(head: &Head) -> Verdict {
        let pinned = Pinned { total: Some(100), validator: Some("\"a\"".into()), ranges: true, ..Pinned::default() };
        judge(head, Some(ByteRange { start: 40, end: None }), 40, &pinned)
    }

    #[test]
    fn only_the_part_asked_for_of_the_same_version_continues() {
        assert!(matches!(resumed(&head(206, "\"a\"", Some((40, 100)), 100)), Verdict::Continue { end: Some(100), .. }));
        assert!(matches!(resumed(&head(206, "\"b\"", Some((40, 100)), 100)), Verdict::Changed));
        assert!(matches!(resumed(&head(206, "W/\"a\"", Some((40, 100)), 100)), Verdict::Changed));
        assert!(matches!(resumed(&head(206, "", Some((40, 100)), 100)), Verdict::Changed));
        assert!(matches!(resumed(&head(206, "\"a\"", Some((40, 99)), 99)), Verdict::Changed));
        for part in [(0, 100), (39, 100), (41, 100)] {
            assert!(matches!(
                resumed(&head(206, "\"a\"", Some(part), 100)),
                Verdict::Failed(FailureKind::BadRange(_), _)
            ));
        }
        assert!(matches!(resumed(&head(206, "\"a\"", None, 60)), Verdict::Failed(FailureKind::BadRange(_), _)));
    }

    #[test]
    fn another_date_tells_another_version() {
        let pinned = Pinned { total: Some(100), modified: Some("Mon".into()), ..Pinned::default() };
        let asked = ByteRange { start: 40, end: Some(50) };
        let dated = |modified: &str| Head { modified: Some(modified.into()), ..head(206, "", Some((40, 50)), 100) };
        assert!(matches!(judge(&dated("Mon"), Some(asked), 40, &pinned), Verdict::Continue { .. }));
        assert!(matches!(judge(&dated("Tue"), Some(asked), 40, &pinned), Verdict::Changed));
        let whole = Head { modified: Some("Tue".into()), ..head(200, "", None, 100) };
        assert!(matches!(judge(&whole, Some(asked), 40, &pinned), Verdict::Changed));
    }

    #[test]
    fn a_part_need_not_repeat_its_date() {
        let pinned = |validator: Option<&str>| Pinned {
            total: Some(100),
            validator: validator.map(Into::into),
            modified: Some("Mon".into()),
            ..Pinned::default()
        };
        let asked = Some(ByteRange { start: 40, end: None });
        let answer = head(206, "\"a\"", Some((40, 100)), 100);
        assert!(matches!(judge(&answer, asked, 40, &pinned(Some("\"a\""))), Verdict::Continue { .. }));
        assert!(matches!(judge(&answer, asked, 40, &pinned(None)), Verdict::Changed));
    }

    #[test]
    fn a_whole_body_replays_or_is_another_version() {
        assert!(matches!(resumed(&head(200, "\"a\"", None, 100)), Verdict::Replay { same: true, .. }));
        assert!(matches!(resumed(&head(200, "", None, 100)), Verdict::Replay { same: false, .. }));
        assert!(matches!(resumed(&head(200, "\"b\"", None, 100)), Verdict::Changed));
        assert!(matches!(resumed(&head(200, "\"a\"", None, 101)), Verdict::Changed));
    }

    #[test]
    fn where_headers_are_hidden_lengths_tell_parts() {
        let hidden = |status, length| Head { status, length: Some(length), hidden: true, ..Head::default() };
        let asked = |start| Some(ByteRange { start, end: Some(start + 10) });
        let judged = |head: &Head, start, total| {
            let pinned = Pinned { total, ..Pinned::default() };
            judge(head, asked(start), start, &pinned)
        };
        let full = judged(&hidden(206, 10), 0, None);
        assert!(matches!(&full, Verdict::Continue { pinned, end: Some(10) } if pinned.total.is_none()));
        let short = judged(&hidden(206, 4), 10, None);
        assert!(matches!(&short, Verdict::Continue { pinned, end: Some(14) } if pinned.total.is_none()), "{short:?}");
        assert!(matches!(judged(&hidden(206, 11), 0, None), Verdict::Failed(FailureKind::BadRange(_), _)));
        let end = judged(&hidden(416, 0), 10, None);
        assert!(matches!(&end, Verdict::Complete { pinned } if pinned.total == Some(10) && pinned.inferred));
        assert!(matches!(judged(&hidden(416, 0), 10, Some(14)), Verdict::Changed));
        let later = Head { modified: Some("Tue".into()), ..hidden(416, 0) };
        assert!(matches!(judged(&later, 10, None), Verdict::Changed));
        let open = Head { hidden: false, ..hidden(206, 10) };
        assert!(matches!(judged(&open, 0, None), Verdict::Failed(FailureKind::BadRange(_), _)));
    }

    #[test]
    fn an_empty_resource_has_no_first_byte() {
        let head = Head { status: 416, range: ContentRange::parse("bytes */0"), ..Head::default() };
        let verdict = judge(&head, Some(ByteRange { start: 0, end: Some(10) }), 0, &Pinned::default());
        assert!(matches!(verdict, Verdict::Complete { .. }));
    }

    #[test]
    fn what_may_be_a_part_is_not_taken_for_the_whole() {
        let asked = Some(ByteRange { start: 0, end: Some(10) });
        let judged = |head: &Head, asked| judge(head, asked, 0, &Pinned::default());
        let rewrapped = Head { status: 200, ..head(206, "", Some((0, 10)), 100) };
        assert!(matches!(judged(&rewrapped, asked), Verdict::AskPlain(_)));
        assert!(matches!(judged(&rewrapped, None), Verdict::AskPlain(_)), "asked plainly, too");
        assert!(matches!(judged(&head(200, "", None, 10), asked), Verdict::AskPlain(_)));
        assert!(matches!(judged(&head(200, "", None, 10), None), Verdict::Continue { end: Some(10), .. }));
        assert!(matches!(judged(&head(200, "", None, 11), asked), Verdict::Continue { end: Some(11), .. }));
        let whole = Head { status: 200, ..head(206, "", Some((0, 100)), 100) };
        assert!(matches!(judged(&whole, asked), Verdict::Continue { end: Some(100), .. }));
        let hidden = Head { status: 416, hidden: true, ..Head::default() };
        assert!(matches!(judged(&hidden, asked), Verdict::AskPlain(_)), "nothing is no first part");
        assert!(matches!(judged(&Head { status: 416, ..Head::default() }, asked), Verdict::AskPlain(_)));
    }
}
