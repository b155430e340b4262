//! Where files go when the user says so: a path with parts of the address in it.

use std::{fmt, str::FromStr};

use super::{
    address::{Address, component, split_extension},
    naming::{Place, is_contained, is_zip, unpacked},
};
use crate::calendar::Day;

/// A part of a layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Host,
    Path,
    Dir,
    Name,
    Stem,
    Ext,
    Query,
    Index(usize),
    Key,
    Date,
    Year,
    Month,
    Day,
}

const PARTS: [(&str, Part); 12] = [
    ("host", Part::Host),
    ("path", Part::Path),
    ("dir", Part::Dir),
    ("name", Part::Name),
    ("stem", Part::Stem),
    ("ext", Part::Ext),
    ("query", Part::Query),
    ("key", Part::Key),
    ("date", Part::Date),
    ("year", Part::Year),
    ("month", Part::Month),
    ("day", Part::Day),
];

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Part(Part),
}

/// A path below the output directory, with placeholders:
/// `{host}`, `{path}` (folders and name), `{dir}` (folders), `{name}`, `{stem}` and `{ext}` (`a.csv` is `a` and
/// `csv`), `{query}`, `{index}` (the place in the list, from 0; `{index:6}` with that many digits), `{key}`
/// (the source's), `{date}` as `2026-01-31`, `{year}`, `{month}`, `{day}`, which are those of the run, and
/// `{entry}` at the end: the name of an archive's entry, or the name of what is no archive. Without it the
/// entries of an archive have a folder of the path that the layout makes.
///
/// ```
/// use narrows_jobs::{calendar::day, names::{Known, Layout}};
///
/// let layout: Layout = "{host}/{date}/{index:3}-{stem}.{ext}".parse().unwrap();
/// let known = Known { index: 7, key: None, today: day("2026-01-31").unwrap() };
/// assert_eq!(layout.place("http://h/a/b.csv", &known, false).unwrap().path, "h/2026-01-31/007-b.csv");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    pieces: Vec<Piece>,
    /// It ends with `{entry}`.
    ends_with_entry: bool,
}

/// What is known of a source besides its address.
///
/// No example: [`Layout`] has one.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its place in the list.
    pub index: u64,
    /// Its key, if it has one.
    pub key: Option<&'a str>,
    /// The day of the run.
    pub today: Day,
}

/// What is wrong with a layout, and what would be right.
///
/// ```
/// let error = "{nmae}".parse::<narrows_jobs::names::Layout>().unwrap_err();
/// assert!(error.to_string().contains("{name}"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayoutError(String);

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutError {}

impl FromStr for Layout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let mut pieces = Vec::new();
        let before_entry = text.strip_suffix("{entry}").map(|before| before.strip_suffix('/').unwrap_or(before));
        let mut rest = before_entry.unwrap_or(text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| LayoutError("a { without its }".into()))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Part(part(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        let fixed: String = pieces.iter().map(|piece| if let Piece::Text(text) = piece { text } else { "x" }).collect();
        if !(is_contained(&fixed) || (pieces.is_empty() && before_entry.is_some())) {
            return Err(LayoutError(format!("{text:?} is no path below the output directory")));
        }
        Ok(Self { pieces, ends_with_entry: before_entry.is_some() })
    }
}

fn part(name: &str) -> Result<Part, LayoutError> {
    if let Some(width) = name.strip_prefix("index") {
        let digits = if width.is_empty() { Some(1) } else { width.strip_prefix(':').and_then(|n| n.parse().ok()) };
        return match digits {
            Some(digits) if digits <= 20 => Ok(Part::Index(digits)),
            _ => Err(LayoutError(format!("{{{name}}} is not {{index}} or {{index:6}}"))),
        };
    }
    let known = PARTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, part)| *part).ok_or_else(|| {
        let all: Vec<_> = PARTS.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        LayoutError(format!("there is no {{{name}}}; there are {} and {{index}}", all.join(" ")))
    })
}

impl Layout {
    /// The short form of a mirror: host and path.
    pub fn mirror() -> Self {
        let pieces = vec![Piece::Part(Part::Host), Piece::Text("/".into()), Piece::Part(Part::Path)];
        Self { pieces, ends_with_entry: false }
    }

    /// Where a source goes. `unpacks` says that archives and compressed files are called by what is in them.
    ///
    /// # Errors
    ///
    /// Why it has no place: what the layout makes of it is no path below the output directory.
    pub fn place(&self, url: &str, known: &Known<'_>, unpacks: bool) -> Result<Place, LayoutError> {
        let address = Address::of(url);
        let name = if unpacks { unpacked(&address.name) } else { &address.name };
        let mut made = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Part(part) => made.push_str(&value(*part, &address, name, known)),
            }
        }
        // A source without folders leaves an empty part.
        let parts: Vec<_> = made.split('/').filter(|part| !part.is_empty()).collect();
        let folder = parts.join("/");
        let path = match self.ends_with_entry {
            true => parts.into_iter().chain([name]).collect::<Vec<_>>().join("/"),
            false => folder.clone(),
        };
        if !is_contained(&path) || !(folder.is_empty() || is_contained(&folder)) {
            return Err(LayoutError(format!("the layout makes {path:?} of it, which is no path below the output")));
        }
        let is_archive = unpacks && is_zip(&address.name);
        let alone = (is_archive && !self.ends_with_entry).then(|| name.to_owned());
        Ok(Place { path, folder, alone })
    }
}

fn value(part: Part, address: &Address<'_>, name: &str, known: &Known<'_>) -> String {
    let (stem, extension) = split_extension(name);
    let Day { year, month, day } = known.today;
    match part {
        Part::Host => address.host.clone(),
        Part::Path => address.folders.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/"),
        Part::Dir => address.folders.join("/"),
        Part::Name => name.into(),
        Part::Stem => stem.into(),
        Part::Ext => extension.trim_start_matches('.').into(),
        Part::Query => address.query().unwrap_or_else(|| match address.has_query() {
            true => address.hash(),
            false => String::new(),
        }),
        Part::Index(digits) => format!("{:0digits$}", known.index),
        Part::Key => known.key.map_or(String::new(), component),
        Part::Date => format!("{year:04}-{month:02}-{day:02}"),
        Part::Year => format!("{year:04}"),
        Part::Month => format!("{month:02}"),
        Part::Day => format!("{day:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day;

    fn place(layout: &str, url: &str, unpacks: bool) -> Result<Place, LayoutError> {
        let known = Known { index: 7, key: Some("a/key"), today: day("2026-01-31").unwrap() };
        layout.parse::<Layout>()?.place(url, &known, unpacks)
    }

    #[test]
    fn parts_of_the_address_stand_where_the_layout_has_them() {
        let path = |layout: &str, url| place(layout, url, false).unwrap().path;
        assert_eq!(path("{host}/{path}", "http://u:p@h:8/a//b/c.csv.gz?x=1"), "h_8/a/b/c.csv.gz");
        assert_eq!(path("{dir}/{stem}-{query}.{ext}", "http://h/c.csv?x=1&token=SECRET"), "c-x=1.csv");
        assert_eq!(path("{year}/{month}/{day}/{key}_{name}", "http://h/c"), "2026/01/31/a_key_c");
        assert_eq!(path("{index:4}", "http://h/../../etc"), "0007");
        assert_eq!(path("{path}", "http://h/../%2e%2e/x"), "download_../download_../x");
    }

    #[test]
    fn entries_have_a_folder_or_the_place_that_is_said() {
        let of = |layout: &str| place(layout, "http://h/d/a.zip", true).unwrap();
        assert_eq!(of("{path}"), Place { path: "d/a".into(), folder: "d/a".into(), alone: Some("a".into()) });
        assert_eq!(of("{stem}/{entry}"), Place { path: "a/a".into(), folder: "a".into(), alone: None });
        assert_eq!(of("{entry}"), Place { path: "a".into(), folder: String::new(), alone: None });
    }

    #[test]
    fn layouts_that_lead_elsewhere_are_refused() {
        for layout in ["../{name}", "/{name}", "{name}/..", "", ".narrows-x/{name}", "{entry}/{name}", "{nam}", "{"] {
            assert!(place(layout, "http://h/a", false).is_err(), "{layout}");
        }
        assert!(place("{ext}", "http://h/a", false).is_err(), "nothing is left");
        assert!("{nam}".parse::<Layout>().unwrap_err().to_string().contains("{name}"));
    }
}
