//! Digests of the bytes on the wire, in passing.

use std::io;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::{failure::FailureKind, report::Hex, source::Source};

/// Digests of everything accepted so far; only those somebody asked for.
#[derive(Clone)]
pub(crate) struct Digests {
    md5: Option<Md5>,
    sha256: Option<Sha256>,
}

impl Digests {
    /// `prefix` asks for a digest by which a repeated beginning can be recognised.
    pub(crate) fn new(source: &Source, sha256: bool, prefix: bool) -> Self {
        Self {
            md5: source.md5.map(|_| Md5::new()),
            sha256: (sha256 || prefix || source.sha256.is_some()).then(Sha256::new),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256.clone().map(|state| state.finalize().into())
    }

    /// Compares with what the source said beforehand.
    pub(crate) fn check(&self, source: &Source) -> Result<(), FailureKind> {
        if let (Some(expected), Some(state)) = (source.md5, &self.md5) {
            compare("md5", &expected, &state.clone().finalize())?;
        }
        if let (Some(expected), Some(actual)) = (source.sha256, self.sha256()) {
            compare("sha256", &expected, &actual)?;
        }
        Ok(())
    }
}

impl Source {
    /// Whether content has the digests that are expected of this source: all of them; true if there are none. It is
    /// read to its end in blocks of 64 KiB.
    ///
    /// ```
    /// # use narrows_core::Source;
    /// let source = Source::new("http://h/a").md5(*b"\x5d\x41\x40\x2a\xbc\x4b\x2a\x76\xb9\x71\x9d\x91\x10\x17\xc5\x92");
    /// assert!(source.matches(&b"hello"[..])? && !source.matches(&b"hallo"[..])?);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn matches(&self, mut content: impl io::Read) -> io::Result<bool> {
        let (mut digests, mut buffer) = (Digests::new(self, false, false), vec![0; 64 << 10]);
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(digests.check(self).is_ok()),
                read => digests.update(&buffer[..read]),
            }
        }
    }
}

fn compare(algorithm: &'static str, expected: &[u8], actual: &[u8]) -> Result<(), FailureKind> {
    let hex = |bytes| Hex(bytes).to_string().into_boxed_str();
    match expected == actual {
        true => Ok(()),
        false => Err(FailureKind::DigestMismatch { algorithm, expected: hex(expected), actual: hex(actual) }),
    }
}
