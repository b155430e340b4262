//! One thing to download, and what is known of it beforehand.

use std::{error::Error as StdError, fmt, sync::Arc};

use narrows_unpack::Format;

use crate::text::public_url;

/// One thing to download.
///
/// ```
/// use narrows_core::Source;
///
/// let source = Source::new("https://example.com/a.zip").size(150_383).key("slot 7");
/// assert_eq!(source.size, Some(150_383));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Source {
    /// The address. It may hold secrets; [`public_url`](Self::public_url) does not.
    pub url: Arc<str>,
    /// A name of the caller's own, which the report repeats.
    pub key: Option<Arc<str>>,
    /// Expected size on the wire in bytes; another one fails the source.
    pub size: Option<u64>,
    /// Expected MD5 of the bytes on the wire; a mismatch fails the source.
    pub md5: Option<[u8; 16]>,
    /// Expected SHA-256 of the bytes on the wire; a mismatch fails the source.
    pub sha256: Option<[u8; 32]>,
    /// Headers for this source's own origin; they follow no redirect to another.
    pub headers: Arc<[(String, String)]>,
    /// Where it stands in a list of the caller's, from which not all are given to the window; repeated in
    /// the report.
    pub position: Option<u64>,
}

/// Words of a line that are looked at; a line has fewer.
const WORDS_MAX: usize = 8;

impl Source {
    /// A source of which only the address is known.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// With a name of the caller's own, which the report repeats.
    #[must_use]
    pub fn key(self, key: impl Into<Arc<str>>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// With an expected size on the wire in bytes.
    #[must_use]
    pub fn size(self, bytes: u64) -> Self {
        Self { size: Some(bytes), ..self }
    }

    /// With an expected MD5.
    #[must_use]
    pub fn md5(self, digest: [u8; 16]) -> Self {
        Self { md5: Some(digest), ..self }
    }

    /// With an expected SHA-256.
    #[must_use]
    pub fn sha256(self, digest: [u8; 32]) -> Self {
        Self { sha256: Some(digest), ..self }
    }

    /// With headers for its own origin.
    #[must_use]
    pub fn headers(self, headers: impl Into<Arc<[(String, String)]>>) -> Self {
        Self { headers: headers.into(), ..self }
    }

    /// Names its place in a list of the caller's.
    #[must_use]
    pub fn position(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    /// Reads a line of a list: an address, which `name=`, `size=`, `md5=` and `sha256=` may follow (the name is its
    /// [`key`](Self::key)), or `size md5 url` as in GDELT's master lists. A blank
    /// line or one that starts with `#` is `None`.
    ///
    /// ```
    /// use narrows_core::Source;
    ///
    /// let line = "150383 297a16b493de7cf6ca809a7cc31d0b93 http://data.gdeltproject.org/a.zip";
    /// let source = Source::from_line(line).expect("not blank").expect("well-formed");
    /// assert_eq!(&*source.url, "http://data.gdeltproject.org/a.zip");
    /// assert_eq!(source.size, Some(150_383));
    /// let line = "http://h/a.csv name=b.csv size=5 sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    /// let source = Source::from_line(line).expect("not blank").expect("well-formed");
    /// assert_eq!((source.key.as_deref(), source.size), (Some("b.csv"), Some(5)));
    /// assert!(Source::from_line("# a comment").is_none());
    /// assert!(Source::from_line("12 nonsense").expect("not blank").is_err());
    /// ```
    pub fn from_line(line: &str) -> Option<Result<Self, BadLine>> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().take(WORDS_MAX).collect();
        let parsed = match words[..] {
            [url, ..] if url.starts_with(['"', '\'']) => Err("an address in quotes: take them off"),
            [url] => Ok(Self::new(url)),
            [size, md5, url] if !size.contains("://") => Self::from_master(size, md5, url),
            [url, ref more @ ..] if url.contains("://") => {
                more.iter().try_fold(Self::new(url), |source, word| source.with_word(word))
            }
            _ => Err("neither an address nor `size md5 url`"),
        };
        Some(parsed.map_err(|reason| BadLine::new(line, reason)))
    }

    /// Adds what a word behind an address says.
    fn with_word(self, word: &str) -> Result<Self, &'static str> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        Ok(match name {
            "name" if !value.is_empty() => self.key(value),
            "size" => self.size(value.parse().map_err(|_| "the size is not a number")?),
            "md5" => self.md5(parse_hex(value).ok_or("the MD5 is not 32 hexadecimal digits")?),
            "sha256" => self.sha256(parse_hex(value).ok_or("the SHA-256 is not 64 hexadecimal digits")?),
            _ => {
                return Err("behind an address there may be name=, size=, md5= and sha256=; \
                            notes have lines of their own that begin with #, a space in an address is %20");
            }
        })
    }

    fn from_master(size: &str, md5: &str, url: &str) -> Result<Self, &'static str> {
        let size = size.parse().map_err(|_| "the size is not a number")?;
        let md5 = parse_hex(md5).ok_or("the MD5 is not 32 hexadecimal digits")?;
        Ok(Self::new(url).size(size).md5(md5))
    }

    /// The address without what may be secret: user, password, query, fragment.
    pub fn public_url(&self) -> String {
        public_url(&self.url)
    }

    /// The format that the path's ending promises.
    pub(crate) fn promised_format(&self) -> Option<Format> {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        Format::promised_by(path.rsplit('/').next().unwrap_or_default())
    }
}

/// Without secrets: the public address, and headers by name.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Source")
            .field("url", &self.public_url())
            .field("key", &self.key)
            .field("size", &self.size)
            .field("md5", &self.md5)
            .field("sha256", &self.sha256)
            .field("headers", &headers)
            .field("position", &self.position)
            .finish()
    }
}

/// What a list may be made of: sources, addresses, and lines that turned out to be neither, which
/// fail when their turn comes, so that no line of a list vanishes.
///
/// ```
/// use narrows_core::{Source, source::Listed};
///
/// assert!("https://example.com/a".listed().is_ok());
/// let lines = ["# a comment", "https://example.com/a", "12 nonsense"];
/// let listed: Vec<_> = lines.into_iter().filter_map(Source::from_line).map(Listed::listed).collect();
/// assert!(listed[0].is_ok() && listed[1].is_err());
/// ```
pub trait Listed {
    /// The source, or why it is none.
    ///
    /// # Errors
    ///
    /// [`BadLine`] where it was read from a malformed line.
    fn listed(self) -> Result<Source, BadLine>;
}

impl Listed for Source {
    fn listed(self) -> Result<Source, BadLine> {
        Ok(self)
    }
}

impl Listed for Result<Source, BadLine> {
    fn listed(self) -> Result<Source, BadLine> {
        self
    }
}

impl Listed for &str {
    fn listed(self) -> Result<Source, BadLine> {
        Ok(Source::new(self))
    }
}

impl Listed for String {
    fn listed(self) -> Result<Source, BadLine> {
        Ok(Source::new(self))
    }
}

/// Parses exactly `N` bytes of hexadecimal digits.
///
/// ```
/// assert_eq!(narrows_core::parse_hex("00ff"), Some([0, 255]));
/// assert_eq!(narrows_core::parse_hex::<2>("00f"), None);
/// ```
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (mut bytes, digits) = ([0; N], text.as_bytes());
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}

/// A list's line that is no source.
///
/// ```
/// use narrows_core::source::BadLine;
///
/// let bad = BadLine::new("12 nonsense", "neither an address nor `size md5 url`");
/// assert_eq!((bad.line(), bad.reason()), ("12 nonsense", "neither an address nor `size md5 url`"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadLine {
    /// The line as it may be shown: without what could be secret, at most 200 characters.
    line: Box<str>,
    reason: &'static str,
    position: Option<u64>,
}

impl BadLine {
    /// Why `line` is no source.
    pub fn new(line: &str, reason: &'static str) -> Self {
        let shown = public_url(line);
        Self { line: shown.chars().take(200).collect(), reason, position: None }
    }

    /// Names its place in a list of the caller's, as [`Source::position`] does.
    #[must_use]
    pub fn at(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    /// Its place in a list of the caller's.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// The line, without what may be secret.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl StdError for BadLine {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_debugged() {
        let headers = [("authorization".to_owned(), "SECRET".to_owned())];
        let source = Source::new("http://u:SECRET@h/a?t=SECRET").headers(headers);
        let text = format!("{source:?} {:?}", BadLine::new("12 u:SECRET@h/?SECRET", "no"));
        assert!(!text.contains("SECRET") && text.contains("authorization"), "{text}");
    }

    #[test]
    fn endings_promise_formats() {
        let format = |url: &str| Source::new(url).promised_format();
        assert_eq!(format("http://h/a.CSV.zip?x=b.gz"), Some(Format::Zip));
        assert_eq!(format("http://h/a.json.gz"), Some(Format::Gzip));
        assert_eq!(format("http://h.zip/plain"), None);
    }
}
