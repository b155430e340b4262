//! Digests of the bytes on the wire, in passing.

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

fn compare(algorithm: &'static str, expected: &[u8], actual: &[u8]) -> Result<(), FailureKind> {
    let hex = |bytes| Hex(bytes).to_string().into_boxed_str();
    match expected == actual {
        true => Ok(()),
        false => Err(FailureKind::DigestMismatch { algorithm, expected: hex(expected), actual: hex(actual) }),
    }
}
