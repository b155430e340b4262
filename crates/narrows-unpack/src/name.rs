//! Names of zip entries: how they read, and which may become a path.

use std::fmt;

/// Code page 437, 0x80 to 0xff: the zip format's default for names (APPNOTE, appendix D).
const CP437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', //
    'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', //
    'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', //
    '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', //
    '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', //
    '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', //
    'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', //
    '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// Many writers store UTF-8 without saying so; what is valid UTF-8 is read as such.
pub(crate) fn decode(name: &[u8], utf8: bool) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) if utf8 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => {
            let char_of = |&byte: &u8| match byte {
                0..0x80 => char::from(byte),
                _ => CP437[usize::from(byte - 0x80)],
            };
            name.iter().map(char_of).collect()
        }
    }
}

/// Why a name cannot become a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnsafeName {
    /// There is no name.
    Empty,
    /// It starts at a root, a drive or a network share.
    Absolute,
    /// A component is `.`, `..` or empty.
    Component,
    /// It has a backslash, which some systems take for a separator.
    Backslash,
    /// It has a control character.
    Control,
    /// It is declared UTF-8 and is not.
    NotUtf8,
    /// A component is longer than 255 bytes, more than file systems take.
    TooLong,
    /// A component is a device on some systems (`NUL`, `COM1`, ...), or ends in a dot or space,
    /// which they drop.
    Reserved,
}

impl fmt::Display for UnsafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name is empty",
            Self::Absolute => "the name is an absolute path",
            Self::Component => "the name has `.`, `..` or an empty component",
            Self::Backslash => "the name has a backslash",
            Self::Control => "the name has a control character",
            Self::NotUtf8 => "the name is not UTF-8 though it says so",
            Self::TooLong => "a component of the name is longer than 255 bytes",
            Self::Reserved => "a component of the name is reserved on some systems",
        })
    }
}

impl std::error::Error for UnsafeName {}

pub(crate) fn safe_path(name: &[u8], utf8: bool) -> Result<String, UnsafeName> {
    if utf8 && std::str::from_utf8(name).is_err() {
        return Err(UnsafeName::NotUtf8);
    }
    let text = decode(name, utf8);
    let path = text.strip_suffix('/').unwrap_or(&text);
    if path.is_empty() {
        return Err(if text.is_empty() { UnsafeName::Empty } else { UnsafeName::Absolute });
    }
    if text.chars().any(char::is_control) {
        return Err(UnsafeName::Control);
    }
    if text.starts_with('/') || text.starts_with("\\\\") || text.as_bytes().get(1) == Some(&b':') {
        return Err(UnsafeName::Absolute);
    }
    if text.contains('\\') {
        return Err(UnsafeName::Backslash);
    }
    for component in path.split('/') {
        if matches!(component, "" | "." | "..") {
            return Err(UnsafeName::Component);
        }
        if component.len() > 255 {
            return Err(UnsafeName::TooLong);
        }
        if is_reserved(component) {
            return Err(UnsafeName::Reserved);
        }
    }
    Ok(path.to_owned())
}

fn is_reserved(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || numbered("COM")
        || numbered("LPT")
        || component.ends_with(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_utf8_or_code_page_437() {
        assert_eq!(decode(b"fran\x87ais", false), "français");
        assert_eq!(decode("世界".as_bytes(), false), "世界");
        assert_eq!(decode(b"\xff", true), "\u{fffd}");
    }

    #[test]
    fn a_path_stays_below_its_directory() {
        let path = |name: &[u8]| safe_path(name, true);
        assert_eq!(path(b"a/b.csv"), Ok("a/b.csv".into()));
        assert_eq!(path(b"a/"), Ok("a".into()));
        assert_eq!(path(b""), Err(UnsafeName::Empty));
        assert_eq!(path(b"/"), Err(UnsafeName::Absolute));
        assert_eq!(path(b"/etc/x"), Err(UnsafeName::Absolute));
        assert_eq!(path(b"C:x"), Err(UnsafeName::Absolute));
        assert_eq!(path(b"\\\\host\\x"), Err(UnsafeName::Absolute));
        assert_eq!(path(b"a\\b"), Err(UnsafeName::Backslash));
        for name in ["..", "a/../b", "./a", "a//b", "a/.", "a/..", "a//"] {
            assert_eq!(path(name.as_bytes()), Err(UnsafeName::Component), "{name}");
        }
        assert_eq!(path(b"a\0.exe"), Err(UnsafeName::Control));
        assert_eq!(path(b"\xff\xfe"), Err(UnsafeName::NotUtf8));
        assert_eq!(path(b"dir/nul.txt"), Err(UnsafeName::Reserved));
        assert_eq!(path(b"a."), Err(UnsafeName::Reserved));
        assert_eq!(path(&[b'a'; 256]), Err(UnsafeName::TooLong));
    }
}
