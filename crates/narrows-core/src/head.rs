//! What the headers of an answer say, parsed in one place for every adapter and judged in none.

use std::{borrow::Cow, time::Duration};

/// The headers that matter here, parsed and not judged.
///
/// No example: that of [`Head::parse`] makes one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// HTTP status after redirects.
    pub status: u16,
    /// `Content-Length`: bytes of this body.
    pub length: Option<u64>,
    /// Whether the body shows its own end: `Transfer-Encoding: chunked` (RFC 9112, 8).
    pub chunked: bool,
    /// `Content-Range`: the part this body is.
    pub range: Option<ContentRange>,
    /// `ETag`, quotes and weakness mark included.
    pub etag: Option<Box<str>>,
    /// `Last-Modified` as it was sent. It vouches for nothing, for a file may change twice in a
    /// second, but another one tells another version.
    pub modified: Option<Box<str>>,
    /// Whether `Accept-Ranges: bytes` was sent.
    pub accepts_ranges: bool,
    /// `Retry-After` as a duration from now.
    pub retry_after: Option<Duration>,
    /// `Content-Encoding`, where it is not `identity` and the platform has not decoded it.
    pub encoding: Option<Box<str>>,
    /// Whether there was a `Content-Encoding` that the platform has decoded.
    pub decoded: bool,
    /// Whether the platform may keep headers to itself (CORS), so that the absence of one proves
    /// nothing. The status, `Content-Length` and `Last-Modified` are always shown.
    pub hidden: bool,
}

impl Head {
    /// Reads an answer's headers. `header` gives the value of the header of that name, several of
    /// one name joined by `", "`, as RFC 9110 (5.3) has it. `until` gives the time from now until an
    /// HTTP date, for `Retry-After`; the core has no calendar.
    ///
    /// ```
    /// use narrows_core::fetch::Head;
    ///
    /// let headers = [("content-length", "10"), ("etag", "\"v1\""), ("retry-after", "7")];
    /// let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into());
    /// let head = Head::parse(200, header, |_| None);
    /// assert_eq!((head.length, head.etag.as_deref()), (Some(10), Some("\"v1\"")));
    /// ```
    pub fn parse<'a>(
        status: u16,
        header: impl Fn(&str) -> Option<Cow<'a, str>>,
        until: impl Fn(&str) -> Option<Duration>,
    ) -> Self {
        let short = |name, max| header(name).filter(|value| value.len() <= max).map(|value| Box::<str>::from(&*value));
        let retry_after = header("retry-after").and_then(|value| {
            let value = value.trim();
            number(value).map(Duration::from_secs).or_else(|| until(value))
        });
        let encoding = header("content-encoding").map(|name| match name.trim() {
            name if name.len() <= 64 => Box::<str>::from(name),
            _ => "one of a very long name".into(),
        });
        // Where both are, the transfer coding says where the body ends (RFC 9112, 6.3).
        let transfer = header("transfer-encoding");
        let length = header("content-length").filter(|_| transfer.is_none());
        Self {
            status,
            chunked: transfer.is_some_and(|codings| codings.trim().to_ascii_lowercase().ends_with("chunked")),
            length: length.and_then(|length| number(length.trim())),
            range: header("content-range").as_deref().and_then(ContentRange::parse),
            // Kept for as long as the transfer lasts; no honest one is longer.
            etag: short("etag", 1024),
            modified: short("last-modified", 64),
            accepts_ranges: header("accept-ranges").is_some_and(|unit| unit.trim().eq_ignore_ascii_case("bytes")),
            retry_after,
            encoding: encoding.filter(|names| is_coding(names)),
            decoded: false,
            hidden: false,
        }
    }

    /// The body was decoded by the platform, if there was an encoding: then its length is anyone's
    /// guess.
    #[must_use]
    pub fn decoded_by_platform(mut self) -> Self {
        self.decoded = self.encoding.take().is_some();
        self.length = self.length.filter(|_| !self.decoded);
        self
    }
}

/// Whether a `Content-Encoding` changes the bytes. Servers write there what is none: a character set, or what they
/// took off themselves; then the bytes are as they are.
fn is_coding(names: &str) -> bool {
    // The registry of RFC 9110 (16.6.1), `identity` left out, and what is older than it.
    const CODINGS: [&str; 12] =
        ["aes128gcm", "br", "bzip2", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "xz", "zstd"];
    let is_one = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        CODINGS.contains(&name.strip_prefix("x-").unwrap_or(&name))
    };
    names.split(',').any(is_one) || names.starts_with("one of a very long name")
}

/// Whether a coding is gzip, the one that every server and every archive of logs may have applied.
pub(crate) fn is_gzip(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
}

/// `Content-Range: bytes start-last/total` (RFC 9110, 14.4).
///
/// ```
/// use narrows_core::fetch::ContentRange;
///
/// let range = ContentRange::parse("bytes 0-9/100").expect("well-formed");
/// assert_eq!((range.part, range.total), (Some((0, 10)), Some(100)));
/// assert_eq!(ContentRange::parse("bytes 9-0/100"), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    /// First byte and one past the last, or `None` in the unsatisfied form `bytes */total`.
    pub part: Option<(u64, u64)>,
    /// Length of the whole, unless `*`.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Parses a header's value; `None` if it is malformed.
    pub fn parse(value: &str) -> Option<Self> {
        let (part, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        if part == "*" {
            return Some(Self { part: None, total });
        }
        let (first, last) = part.split_once('-')?;
        let (start, end) = (number(first)?, number(last)?.checked_add(1)?);
        (start < end && total.is_none_or(|total| end <= total)).then_some(Self { part: Some((start, end)), total })
    }
}

/// Digits only: `u64::from_str` would take a plus sign.
fn number(digits: &str) -> Option<u64> {
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed_strictly() {
        let parse = ContentRange::parse;
        assert_eq!(parse("bytes 0-0/1"), Some(ContentRange { part: Some((0, 1)), total: Some(1) }));
        assert_eq!(parse("bytes 5-9/*"), Some(ContentRange { part: Some((5, 10)), total: None }));
        assert_eq!(parse("bytes */7"), Some(ContentRange { part: None, total: Some(7) }));
        for bad in [
            "",
            "bytes",
            "bytes 5-4/9",
            "bytes 0-9/9",
            "bytes -5/9",
            "bytes +1-2/9",
            "items 0-1/2",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn heads_are_parsed_and_what_is_malformed_is_left_out() {
        let parse = |name: &'static str, value: &'static str| {
            let header = move |wanted: &str| (wanted == name).then_some(value.into());
            Head::parse(200, header, |date| (date == "a date").then_some(Duration::from_secs(5)))
        };
        assert_eq!(parse("content-length", " 10 ").length, Some(10));
        assert_eq!(parse("content-length", "+10").length, None);
        assert_eq!(parse("content-length", "5, 6").length, None);
        assert_eq!(parse("retry-after", " 7 ").retry_after, Some(Duration::from_secs(7)));
        assert_eq!(parse("retry-after", "a date").retry_after, Some(Duration::from_secs(5)));
        assert_eq!(parse("retry-after", "soon").retry_after, None);
        for none in ["Identity", "UTF-8", "aws-chunked", "", "none, identity"] {
            assert_eq!(parse("content-encoding", none).encoding, None, "{none}");
        }
        assert_eq!(parse("content-encoding", "aws-chunked, X-GZIP").encoding.as_deref(), Some("aws-chunked, X-GZIP"));
        let both = [("content-length", "99"), ("transfer-encoding", "chunked")];
        let header = |name: &str| both.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into());
        assert_eq!(Head::parse(200, header, |_| None).length, None);
        assert_eq!(parse("content-encoding", "gzip, gzip").encoding.as_deref(), Some("gzip, gzip"));
        assert!(parse("accept-ranges", "Bytes").accepts_ranges && !parse("accept-ranges", "none").accepts_ranges);
        let decoded = parse("content-encoding", "br").decoded_by_platform();
        assert!(decoded.decoded && decoded.encoding.is_none());
    }
}
