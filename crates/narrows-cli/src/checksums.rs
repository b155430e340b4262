//! Lists of checksums, as `sha256sum` and `md5sum` write them: what is expected of files, by their names.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use narrows::{Source, source::parse_hex};
use narrows_jobs::names::name_of;

use crate::{exit::Usage, terminal::tell};

#[derive(Clone, Copy, Eq, PartialEq)]
enum Digest {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

/// Digests by names of files, each with the path that its line gives.
#[derive(Default)]
pub(crate) struct Checksums {
    digests: BTreeMap<String, Vec<(String, Digest)>>,
    /// Sources that the list has not.
    missed: AtomicU64,
}

/// Sources told of that the list has not.
const MISSED_TOLD: u64 = 5;

impl Checksums {
    pub(crate) fn read(path: &Path) -> Result<Self, Usage> {
        let text = fs::read_to_string(path).map_err(|error| Usage::at(path, &error))?;
        let mut digests: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (digest, name) = parse(line).ok_or_else(|| {
                let expected = "a line has an MD5 or a SHA-256, spaces, and a name";
                Usage::new(format!("{}: line {number} is no checksum: {expected}", path.display()))
            })?;
            let base = name.rsplit('/').next().unwrap_or_default();
            digests.entry(base.to_owned()).or_default().push((name.to_owned(), digest));
        }
        Ok(Self { digests, missed: AtomicU64::default() })
    }

    /// Adds what is expected of a source to what its list says.
    pub(crate) fn expect(&self, source: Source) -> Source {
        match self.of(&source.url) {
            Some(Digest::Md5(digest)) if source.md5.is_none() => source.md5(digest),
            Some(Digest::Sha256(digest)) if source.sha256.is_none() => source.sha256(digest),
            _ => source,
        }
    }

    /// The same, and tells of a source that the list has not: it is not checked.
    pub(crate) fn expect_or_tell(&self, source: Source) -> Source {
        let source = self.expect(source);
        if self.digests.is_empty() || source.md5.is_some() || source.sha256.is_some() {
            return source;
        }
        match self.missed.fetch_add(1, Relaxed) {
            MISSED_TOLD => tell(format_args!("narrows: and further sources are not in --checksums")),
            0..MISSED_TOLD => {
                let url = source.public_url();
                tell(format_args!("narrows: {url}: not in --checksums, or twice, so it is not checked"));
            }
            _ => {}
        }
        source
    }

    /// The digest of the line whose path is most of the address's. None if lines with different ones fit as well.
    fn of(&self, url: &str) -> Option<Digest> {
        if self.digests.is_empty() {
            return None;
        }
        let address = url.split(['?', '#']).next().unwrap_or_default();
        let alike =
            |path: &str| path.rsplit('/').zip(address.rsplit('/')).take_while(|(one, other)| one == other).count();
        let lines = self.digests.get(&name_of(url))?;
        let most = lines.iter().map(|(path, _)| alike(path)).max()?;
        let mut fitting = lines.iter().filter(|(path, _)| alike(path) == most).map(|(_, digest)| *digest);
        let first = fitting.next()?;
        fitting.all(|other| other == first).then_some(first)
    }
}

/// `DIGEST  NAME`, `DIGEST *NAME` for binary files.
fn parse(line: &str) -> Option<(Digest, &str)> {
    let (digits, name) = line.split_once([' ', '\t'])?;
    let name = name.trim_start().trim_start_matches('*').trim_start_matches("./");
    let digest = parse_hex(digits).map(Digest::Md5).or_else(|| parse_hex(digits).map(Digest::Sha256))?;
    (!name.is_empty() && !name.ends_with('/')).then_some((digest, name))
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
        let two = format!("{}  jan/data.csv\n{}  feb/data.csv\n", "01".repeat(32), "02".repeat(32));
        fs::write(&path, two).unwrap();
        let sums = Checksums::read(&path).ok().unwrap();
        assert_eq!(sums.expect(Source::new("http://h/x/jan/data.csv")).sha256, Some([1; 32]));
        assert_eq!(sums.expect(Source::new("http://h/feb/data.csv")).sha256, Some([2; 32]));
        assert_eq!(sums.expect(Source::new("http://h/mar/data.csv")).sha256, None, "either may be meant");
        fs::write(&path, "12 a\n").unwrap();
        assert!(Checksums::read(&path).is_err_and(|usage| usage.text.contains("line 1")));
    }
}
