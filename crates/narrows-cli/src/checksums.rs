//! Lists of checksums, as `sha256sum` and `md5sum` write them: what is expected of files, by their names.

use std::{collections::BTreeMap, fs, path::Path};

use narrows::{Source, source::parse_hex};
use narrows_jobs::names::name_of;

use crate::exit::Usage;

#[derive(Clone, Copy)]
enum Digest {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

/// Digests by names of files.
#[derive(Clone, Default)]
pub(crate) struct Checksums(BTreeMap<String, Digest>);

impl Checksums {
    pub(crate) fn read(path: &Path) -> Result<Self, Usage> {
        let text = fs::read_to_string(path).map_err(|error| Usage::at(path, &error))?;
        let mut digests = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (digest, name) = parse(line).ok_or_else(|| {
                let expected = "a line has an MD5 or a SHA-256, spaces, and a name";
                Usage::new(format!("{}: line {number} is no checksum: {expected}", path.display()))
            })?;
            digests.insert(name.to_owned(), digest);
        }
        Ok(Self(digests))
    }

    /// Adds what is expected of a source to what its list says.
    pub(crate) fn expect(&self, source: Source) -> Source {
        match self.0.get(&name_of(&source.url)) {
            Some(Digest::Md5(digest)) if source.md5.is_none() => source.md5(*digest),
            Some(Digest::Sha256(digest)) if source.sha256.is_none() => source.sha256(*digest),
            _ => source,
        }
    }
}

/// `DIGEST  NAME`, `DIGEST *NAME` for binary files, of which the folders are left out.
fn parse(line: &str) -> Option<(Digest, &str)> {
    let (digits, name) = line.split_once([' ', '\t'])?;
    let name = name.trim_start().trim_start_matches('*').rsplit('/').next()?;
    let digest = parse_hex(digits).map(Digest::Md5).or_else(|| parse_hex(digits).map(Digest::Sha256))?;
    (!name.is_empty()).then_some((digest, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_of_files_by_their_names() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("SUMS");
        fs::write(&path, format!("{}  ./d/a.zip\n{} *b c.zip\n", "0a".repeat(32), "0b".repeat(16))).unwrap();
        let sums = Checksums::read(&path).ok().unwrap();
        assert_eq!(sums.expect(Source::new("http://h/x/a.zip?t=1")).sha256, Some([10; 32]));
        assert_eq!(sums.expect(Source::new("http://h/b%20c.zip")).md5, Some([11; 16]));
        assert_eq!(sums.expect(Source::new("http://h/b")).md5, None);
        fs::write(&path, "12 a\n").unwrap();
        assert!(Checksums::read(&path).is_err_and(|usage| usage.text.contains("line 1")));
    }
}
