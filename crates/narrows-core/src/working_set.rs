//! The memory of one transfer, term by term.
//!
//! A working set is computed in one place ([`Options::working_set`](crate::Options::working_set))
//! and goes with the transfer's lease, which gives terms back by name as they turn out not to be
//! needed. So what was reserved for a term and what is given back of it cannot disagree.

/// What a part of a transfer's memory is for. A new stage adds its term here.
///
/// ```
/// use narrows_core::working_set::Term;
///
/// assert_eq!(Term::ContentDecoder.name(), "content_decoder");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Term {
    /// What the adapter's exchange may hold.
    Exchange,
    /// Segments, where bodies can't be held back.
    Segments,
    /// A decoder for a `Content-Encoding` the origin may choose, and its output.
    ContentDecoder,
    /// The decoder for archives and compressed files.
    Decoder,
    /// Blocks for the consumer.
    Blocks,
    /// Room for collecting a whole source.
    Collect,
    /// The transfer's own state.
    State,
}

impl Term {
    /// All terms, in the order of [`WorkingSet::iter`].
    pub const ALL: [Self; 7] =
        [Self::Exchange, Self::Segments, Self::ContentDecoder, Self::Decoder, Self::Blocks, Self::Collect, Self::State];

    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Segments => "segments",
            Self::ContentDecoder => "content_decoder",
            Self::Decoder => "decoder",
            Self::Blocks => "blocks",
            Self::Collect => "collect",
            Self::State => "state",
        }
    }

    /// What it is for, in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Exchange => "an open exchange: read buffers, flow control window",
            Self::Segments => "segments that are drained",
            Self::ContentDecoder => "decoder of a content encoding, given back if there is none",
            Self::Decoder => "decoder of archives; most of it entry names, given back once the size is known",
            Self::Blocks => "blocks for the output",
            Self::Collect => "room to collect whole files",
            Self::State => "state: timers, digests, names",
        }
    }
}

/// The memory of one transfer in bytes, term by term.
///
/// ```
/// use narrows_core::{WorkingSet, working_set::Term};
///
/// let set = WorkingSet::default().with(Term::Blocks, 256 << 10).with(Term::State, 8 << 10);
/// assert_eq!((set.get(Term::Blocks), set.total()), (256 << 10, 264 << 10));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WorkingSet {
    terms: [u64; Term::ALL.len()],
}

impl WorkingSet {
    /// With `bytes` for a term.
    #[must_use]
    pub fn with(mut self, term: Term, bytes: u64) -> Self {
        self.terms[term as usize] = bytes;
        self
    }

    /// Bytes of a term.
    pub fn get(&self, term: Term) -> u64 {
        self.terms[term as usize]
    }

    /// All of it; at most `u64::MAX`.
    pub fn total(&self) -> u64 {
        self.terms.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// The terms with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Term, u64)> {
        Term::ALL.into_iter().zip(self.terms)
    }

    /// Keeps at most `bytes` of a term, and says how many are not needed.
    pub(crate) fn shrink(&mut self, term: Term, bytes: u64) -> u64 {
        let kept = &mut self.terms[term as usize];
        let excess = kept.saturating_sub(bytes);
        *kept -= excess;
        excess
    }

    /// Adds to a term.
    pub(crate) fn grow(&mut self, term: Term, bytes: u64) {
        self.terms[term as usize] += bytes;
    }
}
