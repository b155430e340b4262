//! Skipping what has come before: a body, or a part of one, from its beginning again.
//!
//! Where no validator vouches for the rest, a broken transfer takes the body from its start once
//! more, and goes on only if the beginning is the same by its digest.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A segment as it is asked for. Where no header would tell another version, it is asked for as a
/// whole again after a break, and its beginning compared.
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) digest: Sha256,
}

impl Part {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, digest: Sha256::new() }
    }
}

/// The beginning of the body, or of a part, again.
pub(crate) struct Replay {
    /// Bytes still to be skipped.
    left: u64,
    /// Of what was skipped; `None` where a strong validator vouches for it.
    digest: Option<Sha256>,
    /// What it must come to; that of everything received, if there is none.
    expected: Option<Sha256>,
}

/// What a chunk of a replayed body comes to.
pub(crate) enum Replayed {
    /// All of it was skipped, and more is to be.
    Skipped,
    /// The beginning is over; what is left of the chunk goes on behind it.
    Over,
    /// The beginning is over, and it is another one.
    Differs,
}

impl Replay {
    /// Skips `left` bytes of the whole body, compared with what was received if `compares`.
    pub(crate) fn of_body(left: u64, compares: bool) -> Self {
        Self { left, digest: compares.then(Sha256::new), expected: None }
    }

    /// Skips `left` bytes of a part that began with what `expected` is the digest of.
    pub(crate) fn of_part(left: u64, expected: Sha256) -> Self {
        Self { left, digest: Some(Sha256::new()), expected: Some(expected) }
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Skips what is to be skipped of a chunk; says what that was, and what it came to.
    pub(crate) fn skip(&mut self, chunk: &mut Bytes, received: impl Fn() -> Option<[u8; 32]>) -> (u64, Replayed) {
        let repeated = chunk.split_to(self.left.min(chunk.len() as u64) as usize);
        self.left -= repeated.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&repeated);
        }
        let skipped = repeated.len() as u64;
        if self.left > 0 {
            return (skipped, Replayed::Skipped);
        }
        let finish = |digest: Sha256| <[u8; 32]>::from(digest.finalize());
        let digest = self.digest.take().map(finish);
        let expected = self.expected.take().map(finish).or_else(received);
        match digest.is_some() && digest != expected {
            true => (skipped, Replayed::Differs),
            false => (skipped, Replayed::Over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    fn skip(replay: &mut Replay, chunk: &'static [u8], received: &[u8]) -> (Bytes, Replayed) {
        let mut chunk = Bytes::from_static(chunk);
        let (_, replayed) = replay.skip(&mut chunk, || Some(sha256(received)));
        (chunk, replayed)
    }

    #[test]
    fn the_same_beginning_is_skipped_and_another_is_noticed() {
        let mut replay = Replay::of_body(5, true);
        assert!(matches!(skip(&mut replay, b"abc", b"abcde").1, Replayed::Skipped));
        let (rest, replayed) = skip(&mut replay, b"defg", b"abcde");
        assert!(matches!(replayed, Replayed::Over) && &rest[..] == b"fg");
        let mut replay = Replay::of_body(3, true);
        assert!(matches!(skip(&mut replay, b"abX", b"abc").1, Replayed::Differs));
        let mut replay = Replay::of_body(3, false);
        assert!(matches!(skip(&mut replay, b"abX", b"abc").1, Replayed::Over), "a validator vouches for it");
    }

    #[test]
    fn a_part_is_compared_with_its_own_beginning() {
        let expected = || Sha256::new().chain_update(b"cd");
        let mut replay = Replay::of_part(2, expected());
        assert!(matches!(skip(&mut replay, b"cde", b"abcd").1, Replayed::Over));
        let mut replay = Replay::of_part(2, expected());
        assert!(matches!(skip(&mut replay, b"ce", b"abcd").1, Replayed::Differs));
    }
}
