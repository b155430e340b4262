//! Text from outside, made fit to be shown: addresses without secrets, no control characters.

use std::borrow::Cow;

/// `text` without what a terminal could obey: control characters and those that turn the
/// direction of writing are shown escaped.
///
/// ```
/// assert_eq!(narrows_core::text::printable("a\x1b[2Jb"), "a\\u{1b}[2Jb");
/// assert_eq!(narrows_core::text::printable("größer"), "größer");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown.into()
}

/// Controls of C0 and C1, and the marks and overrides of bidirectional text (Unicode UAX #9).
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An address without user, password, query and fragment, fit for messages, logs and reports. The
/// one place where an address becomes text that people see.
///
/// ```
/// let shown = narrows_core::text::public_url("https://user:pw@host/a.zip?token=secret");
/// assert_eq!(shown, "https://host/a.zip?…");
/// ```
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
            return printable(&format!("{scheme}://{host}{path}{mark}")).into_owned();
        }
    }
    // No address in good form: whatever stands before an @ may be a password.
    let shown = match bare.rsplit_once('@') {
        Some((_, after)) => format!("…@{after}{mark}"),
        None => format!("{bare}{mark}"),
    };
    printable(&shown).into_owned()
}

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
    fn nothing_that_a_terminal_obeys_is_shown() {
        for text in ["\x1b]0;title\x07", "a\rb", "x\u{202e}gpj.exe", "\u{9b}31m"] {
            assert!(!printable(text).chars().any(is_obeyed), "{text:?}");
            assert!(!public_url(&format!("http://host/{text}")).chars().any(is_obeyed), "{text:?}");
        }
    }
}
