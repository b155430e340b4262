//! Bytes that were accepted and not yet taken by the reader.
//!
//! Where bodies are held back, that is at most one chunk as it came. Where they are drained, it is
//! segments of known capacity, which is reserved before they are asked for: the last of them may
//! still be filling.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::lease::allocate;

/// Accepted bytes, in order.
#[derive(Default)]
pub(crate) struct Pending {
    /// Front first. Only the last may be filling.
    pieces: VecDeque<Piece>,
    /// Whether a body is being copied into the last piece.
    is_filling: bool,
}

/// Bytes of the stream in memory: as they came, or copied into a segment of known capacity.
enum Piece {
    Chunk(Bytes),
    Segment { bytes: Vec<u8>, taken: usize },
}

impl Piece {
    fn rest(&self) -> &[u8] {
        match self {
            Self::Chunk(bytes) => bytes,
            Self::Segment { bytes, taken } => &bytes[*taken..],
        }
    }
}

impl Pending {
    /// Pieces that hold bytes, or room for some.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The bytes to take next.
    pub(crate) fn front(&self) -> &[u8] {
        self.pieces.front().map_or(&[], Piece::rest)
    }

    /// Takes bytes of the front.
    pub(crate) fn take(&mut self, bytes: usize) {
        match self.pieces.front_mut() {
            Some(Piece::Chunk(chunk)) => drop(chunk.split_to(bytes)),
            Some(Piece::Segment { taken, .. }) => *taken += bytes,
            None => return,
        }
        self.drop_empty_front();
    }

    fn drop_empty_front(&mut self) {
        let is_empty = self.pieces.front().is_some_and(|piece| piece.rest().is_empty());
        if is_empty && !(self.is_filling && self.pieces.len() == 1) {
            self.pieces.pop_front();
        }
    }

    /// Keeps a chunk as it came.
    pub(crate) fn push_chunk(&mut self, chunk: Bytes) {
        self.pieces.push_back(Piece::Chunk(chunk));
    }

    /// Begins to fill a segment of `room` bytes: what a broken body left of one serves, if it is
    /// enough. `None` where the machine has not that much memory.
    pub(crate) fn begin_segment(&mut self, room: usize) -> Option<()> {
        self.is_filling = true;
        if !self.has_room(room) {
            self.pieces.push_back(Piece::Segment { bytes: allocate(room as u64)?, taken: 0 });
        }
        Some(())
    }

    /// Whether what a broken body left of a segment has room for `bytes`.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        match self.pieces.back() {
            Some(Piece::Segment { bytes: filled, .. }) => filled.capacity() - filled.len() >= bytes,
            _ => false,
        }
    }

    /// Copies a chunk into the segment that is being filled, unless it has no room.
    pub(crate) fn fill(&mut self, chunk: &[u8]) -> bool {
        match self.pieces.back_mut() {
            Some(Piece::Segment { bytes, .. }) if chunk.len() <= bytes.capacity() - bytes.len() => {
                bytes.extend_from_slice(chunk);
                true
            }
            _ => false,
        }
    }

    /// The body has ended: nothing more is filled in.
    pub(crate) fn end_segment(&mut self) {
        self.is_filling = false;
        self.drop_empty_front();
    }

    /// The body broke off: a segment with nothing in it is not kept while the transfer waits.
    pub(crate) fn break_segment(&mut self) {
        self.is_filling = false;
        if self.pieces.back().is_some_and(|piece| piece.rest().is_empty()) {
            self.pieces.pop_back();
        }
    }

    /// Frees everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_kept_as_they_came() {
        let mut pending = Pending::default();
        pending.push_chunk(Bytes::from_static(b"abc"));
        pending.take(2);
        assert_eq!((pending.front(), pending.len()), (&b"c"[..], 1));
        pending.take(1);
        assert_eq!((pending.front(), pending.len()), (&b""[..], 0));
    }

    #[test]
    fn a_segment_stays_while_it_is_filled_and_goes_when_it_is_taken() {
        let mut pending = Pending::default();
        pending.begin_segment(4).unwrap();
        assert!(pending.fill(b"ab") && !pending.fill(b"cde"), "no more than its capacity");
        pending.take(2);
        assert_eq!(pending.len(), 1, "it is still being filled");
        assert!(pending.fill(b"c"));
        pending.end_segment();
        assert_eq!(pending.front(), b"c");
        pending.take(1);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_a_broken_body_left_serves_the_next() {
        let mut pending = Pending::default();
        pending.begin_segment(4).unwrap();
        assert!(pending.fill(b"a"));
        pending.break_segment();
        assert!(pending.has_room(3) && !pending.has_room(4));
        pending.begin_segment(3).unwrap();
        assert_eq!(pending.len(), 1);
        let mut empty = Pending::default();
        empty.begin_segment(4).unwrap();
        empty.break_segment();
        assert_eq!(empty.len(), 0, "nothing is kept for nothing");
    }
}
