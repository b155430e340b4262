//! One thing to download, and what is known of it beforehand.

use std::{error::Error as StdError, fmt, sync::Arc};

use narrows_unpack::Format;

/// One thing to download.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The address.
    pub url: Arc<str>,
    /// Its size on the wire in bytes, which must come true.
    pub size: Option<u64>,
    /// Its MD5, which must come true.
    pub md5: Option<[u8; 16]>,
    /// Its SHA-256, which must come true.
    pub sha256: Option<[u8; 32]>,
    /// Headers for this source's own origin; they follow no redirect to another.
    pub headers: Arc<[(String, String)]>,
    /// Why it cannot be downloaded: the line it came from was malformed. It fails at once with
    /// this, so that no line of a list vanishes.
    pub invalid: Option<BadLine>,
}

impl Source {
    /// A source of which only the address is known.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Reads a line of a list: an address, or `size md5 url` as in GDELT's master lists. A blank
    /// line or one that starts with `#` is `None`; a malformed one is a source that fails.
    ///
    /// ```
    /// use narrows_core::Source;
    ///
    /// let line = "150383 297a16b493de7cf6ca809a7cc31d0b93 http://data.gdeltproject.org/a.zip";
    /// let source = Source::from_line(line).expect("not blank");
    /// assert_eq!(&*source.url, "http://data.gdeltproject.org/a.zip");
    /// assert_eq!(source.size, Some(150_383));
    /// assert!(Source::from_line("# a comment").is_none());
    /// assert!(Source::from_line("12 nonsense").expect("not blank").invalid.is_some());
    /// ```
    pub fn from_line(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut words = line.split_ascii_whitespace();
        let parsed = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(url), None, ..) => Ok(Self::new(url)),
            (Some(size), Some(md5), Some(url), None) => Self::from_master(size, md5, url),
            _ => Err("neither an address nor `size md5 url`"),
        };
        Some(parsed.unwrap_or_else(|reason| {
            let invalid = Some(BadLine { reason });
            Self { url: line.into(), invalid, ..Self::default() }
        }))
    }

    fn from_master(size: &str, md5: &str, url: &str) -> Result<Self, &'static str> {
        let size = size.parse().map_err(|_| "the size is not a number")?;
        let md5 = parse_hex(md5).ok_or("the MD5 is not 32 hexadecimal digits")?;
        Ok(Self { size: Some(size), md5: Some(md5), ..Self::new(url) })
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

/// An address without user, password, query and fragment; fit for logs and reports.
pub fn public_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (bare, rest) = url.split_at(end);
    let mark = if rest.len() > 1 { "?…" } else { "" };
    if let Some((scheme, after)) = bare.split_once("://")
        && !bare.contains(|c: char| c == '\\' || c.is_whitespace())
    {
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let port = host.rsplit_once(':').map_or("", |(_, port)| port.trim_end_matches(']'));
        if !host.is_empty() && (host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit())) {
            return format!("{scheme}://{host}{path}{mark}");
        }
    }
    // No address in good form: whatever stands before an @ may be a password.
    match bare.rsplit_once('@') {
        Some((_, after)) => format!("…@{after}{mark}"),
        None => format!("{bare}{mark}"),
    }
}

/// Parses exactly `N` bytes of hexadecimal digits.
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadLine {
    /// What is wrong with it.
    pub reason: &'static str,
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
    fn secrets_stay_out_of_public_addresses() {
        let public = |url| public_url(url);
        assert_eq!(public("https://user:pw@host/a/b.zip?X-Amz-Signature=SECRET#f"), "https://host/a/b.zip?…");
        assert_eq!(public("http://host:8080"), "http://host:8080");
        assert_eq!(public("https://a@b@host/x@y"), "https://host/x@y");
        assert_eq!(public("no scheme?q"), "no scheme?…");
        assert_eq!(public("http://[::1]:80/a@b"), "http://[::1]:80/a@b");
        for odd in ["https:u:PW@host/x", "http:///u:PW@host/y", "http:\\\\u:PW@host\\z", "http://h/a http://u:PW@h/b"] {
            assert!(!public(odd).contains("PW"), "{}", public(odd));
        }
        assert!(!public("http://user:p/PW@host/").contains("user:p"));
    }

    #[test]
    fn endings_promise_formats() {
        let format = |url: &str| Source::new(url).promised_format();
        assert_eq!(format("http://h/a.CSV.zip?x=b.gz"), Some(Format::Zip));
        assert_eq!(format("http://h/a.json.gz"), Some(Format::Gzip));
        assert_eq!(format("http://h.zip/plain"), None);
    }
}
