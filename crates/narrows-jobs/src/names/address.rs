//! The parts of an address that names of files are made of. All of them come from outside: each part is
//! one component of a path, and nothing else.

use narrows_core::source::parse_hex;
use sha2::{Digest, Sha256};

/// Most bytes of a component: what file systems allow.
const COMPONENT_MAX: usize = 255;
/// Left of that for what naming adds: a hash, a number.
const NAME_MAX: usize = COMPONENT_MAX - 20;
/// A longer query is told by its hash.
const QUERY_MAX: usize = 80;
/// Components that begin so are kept for unfinished files and journals.
pub(super) const RESERVED: &str = ".narrows-";

/// Words in parameters that carry credentials.
const SECRETS: [&str; 19] = [
    "auth", "bearer", "code", "cookie", "cred", "hash", "hmac", "jwt", "key", "md5", "pass", "policy", "pwd", "secret",
    "session", "sig", "ticket", "token", "x-amz-",
];

/// An address, taken apart.
pub(super) struct Address<'a> {
    /// Name and port.
    pub(super) host: String,
    /// What stands between the host and the last segment.
    pub(super) folders: Vec<String>,
    /// The last segment that is not empty, or `download`.
    pub(super) name: String,
    query: &'a str,
    whole: &'a str,
}

impl<'a> Address<'a> {
    pub(super) fn of(url: &'a str) -> Self {
        let (address, _) = url.split_once('#').unwrap_or((url, ""));
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let (authority, path) = match path.split_once("://") {
            Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", path),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).map(component);
        let name = segments.next_back().unwrap_or_else(|| "download".into());
        let mut host = if host.is_empty() { String::new() } else { component(host) };
        host.make_ascii_lowercase();
        Self { host, folders: segments.collect(), name, query, whole: address }
    }

    /// What of the query is fit for a name: neither long nor secret.
    pub(super) fn query(&self) -> Option<String> {
        let query = self.open_pairs().map(component).collect::<Vec<_>>().join("_");
        (!query.is_empty() && query.len() <= QUERY_MAX).then_some(query)
    }

    /// Whether all of the query is in that.
    pub(super) fn is_query_whole(&self) -> bool {
        self.query().is_some() && self.open_pairs().count() == self.pairs().count()
    }

    fn pairs(&self) -> impl Iterator<Item = &'a str> {
        self.query.split('&').filter(|pair| !pair.is_empty())
    }

    /// Parameters without secrets.
    fn open_pairs(&self) -> impl Iterator<Item = &'a str> {
        // All of a parameter is looked at: it may hold others, packed.
        let is_open = |pair: &&str| {
            let text = percent_decode(&percent_decode(pair)).to_lowercase();
            !SECRETS.iter().any(|secret| text.contains(secret))
        };
        self.pairs().filter(is_open)
    }

    pub(super) fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    /// Twelve hexadecimal digits that are another address's with a chance of one in 2^48.
    pub(super) fn hash(&self) -> String {
        short_hash(self.whole)
    }
}

pub(super) fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// One component of a path: percent-decoded, without what some system's paths give a meaning to, and cut
/// before its extension where it is too long, with a hash of what it was.
pub(super) fn component(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=,+@~!;()' ".contains(&byte);
    let begins = text.bytes().next();
    if text.len() <= COMPONENT_MAX && begins.is_some_and(is_plain) && text.bytes().all(|c| c == b'.' || is_plain(c)) {
        return text.into(); // nearly all are
    }
    let harmless = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let decoded: String = percent_decode(text).chars().map(harmless).collect();
    let name = if decoded.chars().all(|c| c == '.') || decoded.to_lowercase().starts_with(RESERVED) {
        format!("download_{decoded}")
    } else {
        decoded
    };
    if name.len() <= COMPONENT_MAX {
        return name;
    }
    let (stem, extension) = split_extension(&name);
    let extension = if extension.len() > 20 { "" } else { extension };
    let mut end = NAME_MAX - extension.len();
    while !stem.is_char_boundary(end.min(stem.len())) {
        end -= 1;
    }
    format!("{}~{}{extension}", &stem[..end.min(stem.len())], short_hash(&name))
}

/// The name, and its extension with the dot; a name that begins with its only dot has none.
pub(super) fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// `name` with `mark` before its extension, cut to fit.
pub(super) fn marked(name: &str, mark: &str) -> String {
    let (stem, extension) = split_extension(name);
    component(&format!("{stem}{mark}{extension}"))
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = (*first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match digits.and_then(parse_hex::<1>) {
            Some([byte]) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_harmless() {
        let name = |url| Address::of(url).name;
        assert_eq!(name("http://host/a/b.zip?secret=1#x"), "b.zip");
        assert_eq!(name("http://host/a%20b%2F..%2Fc"), "a b_.._c");
        assert_eq!(name("http://host/.."), "download_..");
        assert_eq!(name("http://host"), "download");
        assert_eq!(name("http://host/.narrows-1-0"), "download_.narrows-1-0");
        assert_eq!(name("http://host/.Narrows-journal"), "download_.Narrows-journal");
        assert_eq!(name("http://host/%00%zz"), "_%zz");
        assert_eq!(Address::of("http://u:p@h:80/%2e%2e/x/../y").folders, ["download_..", "x", "download_.."]);
        assert_eq!(Address::of("http://u:p@H:80/a").host, "h_80");
    }

    #[test]
    fn long_names_keep_their_extension_and_what_tells_them_apart() {
        let whole = "é".repeat(125) + ".json";
        assert_eq!(component(&whole), whole, "255 bytes");
        let (one, other) = (component(&("x".repeat(300) + "1.json")), component(&("x".repeat(300) + "2.json")));
        assert!(one != other && one.ends_with(".json") && one.len() <= 255, "{one}");
        let odd = component(&format!("{}.{}", "é".repeat(200), "y".repeat(90)));
        assert!(odd.len() <= 255 && odd.contains('~'), "{odd}");
        assert!(marked(&whole, "_id=7").len() <= 255);
    }

    #[test]
    fn secrets_of_a_query_are_in_no_name() {
        let query = |url| Address::of(url).query();
        assert_eq!(query("http://h/x?id=7&api_key=SECRET&page=2"), Some("id=7_page=2".into()));
        assert_eq!(query("http://h/x?X-Amz-Date=1&X-Amz-Signature=SECRET"), None);
        assert_eq!(query("http://h/x"), None);
        let is_whole = |url| Address::of(url).is_query_whole();
        assert!(is_whole("http://h/x?a=1&b=2") && !is_whole("http://h/x?a_b_c=1&key=A") && !is_whole("http://h/x"));
        for hidden in
            ["id=7;token=SECRET", "u=http%3A%2F%2Fh%3Ftoken%3DSECRET", "%74oken=SECRET", "a=%2574oken%253DSECRET"]
        {
            let url = format!("http://h/x?{hidden}");
            assert_eq!(Address::of(&url).query(), None, "{hidden}");
        }
        assert_eq!(query("http://h/x?q=..%2F.."), Some("q=.._..".into()));
        assert_eq!(query(&format!("http://h/x?q={}", "y".repeat(99))), None);
    }
}
