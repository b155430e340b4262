//! Which file each source becomes where nothing is said of it.
//!
//! A source is called by the last segment of its address while no other source of the run is; then by its path
//! below what all paths have in common; then with its query; then with a hash of its address. Which of these
//! it is depends on the list alone, never on who came first: so the list is read before the run, and of each
//! source four hashes are kept, of a thousandth chance to take two names for one in all. Names are compared
//! without case, for many disks do.
//!
//! A list that is longer than [`EXACT_MAX`], or cannot be read twice, is not counted: see [`Naming`].

use std::collections::BTreeMap;

use narrows_core::Source;
use sha2::{Digest, Sha256};

use super::address::{Address, RESERVED, marked, split_extension};

/// Sources of which all names are compared; 2 MiB while the list is read.
pub const EXACT_MAX: usize = 1 << 16;

/// Where the files of a source go, below the output directory.
///
/// No example: [`only`](Self::only) has one, and [`Naming`] makes them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub path: String,
    /// The folder of an archive's entries; the output directory itself if it is empty.
    pub folder: String,
    /// An archive that has only one entry, with this name and any extension or none, becomes a file at `path`
    /// with that extension; it has a folder otherwise. If this is empty, any only entry becomes the file.
    pub alone: Option<String>,
}

impl Place {
    /// The file that an archive's only entry becomes, if it needs no folder.
    ///
    /// ```
    /// # use narrows_jobs::names::Place;
    /// let place = Place { path: "2024/a".into(), folder: "2024/a".into(), alone: Some("a".into()) };
    /// assert_eq!(place.only("a.csv").as_deref(), Some("2024/a.csv"));
    /// assert_eq!(place.only("b.csv"), None);
    /// ```
    pub fn only(&self, entry: &str) -> Option<String> {
        let alone = self.alone.as_deref()?;
        if alone.is_empty() {
            return Some(self.path.clone());
        }
        let rest = entry.strip_prefix(alone)?;
        let is_extension = rest.strip_prefix('.').is_some_and(|rest| !rest.contains(['/', '.']));
        (rest.is_empty() || is_extension).then(|| format!("{}{rest}", self.path))
    }
}

/// How much of its address a source's name has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Name,
    Path,
    Query,
    Hash,
    Number,
    /// Its name and a hash, in no folder.
    Flat,
}

/// Names for the sources of a run.
///
/// ```
/// use narrows_core::Source;
/// use narrows_jobs::names::Naming;
///
/// let urls = ["http://h/2023/a.csv", "http://h/2024/a.csv", "http://h/2024/b.csv.gz"];
/// let naming = Naming::of(|each| urls.iter().for_each(|url| each(&Source::new(*url))), true);
/// let paths: Vec<_> = (0..).zip(urls).map(|(index, url)| naming.place(index, url).path).collect();
/// assert_eq!(paths, ["2023/a.csv", "2024/a.csv", "b.csv"]);
/// ```
#[derive(Debug, Default)]
pub struct Naming {
    unpacks: bool,
    counted: Counted,
    /// Folders that all addresses begin with, the host first.
    common: Vec<String>,
    /// Sources of the list, where it was read; and whether it names some of them.
    count: Option<u64>,
    has_names: bool,
}

#[derive(Debug)]
enum Counted {
    /// All sources, each level's values that several have, sorted; of archives, those that need a folder.
    Exactly { shared: [Vec<u64>; 4], crossed: Vec<u64>, foldered: Vec<u64> },
    /// Too many: they have their paths, and their queries.
    Not,
    /// Whoever was first in the list has the bare name; by the value of that.
    Streamed(BTreeMap<u64, u64>),
}

impl Default for Counted {
    fn default() -> Self {
        Self::Exactly { shared: Default::default(), crossed: Vec::new(), foldered: Vec::new() }
    }
}

fn value(text: &str) -> u64 {
    let digest = Sha256::digest(text.to_lowercase());
    digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn has(sorted: &[u64], value: u64) -> bool {
    sorted.binary_search(&value).is_ok()
}

/// The values that are there more than once, sorted.
fn shared(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    let mut shared: Vec<u64> = values.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    shared.dedup();
    shared
}

impl Naming {
    /// Bare names, for sources that are known to have different ones. `unpacks` says that archives and
    /// compressed files are called by what is in them.
    pub fn bare(unpacks: bool) -> Self {
        Self { unpacks, ..Self::default() }
    }

    /// Names for a list that cannot be read before the run. [`note`](Self::note) each source when it is read:
    /// the first of a name has it alone, others of that name have host, path and query. Up to [`EXACT_MAX`]
    /// names are kept, 2 MiB; sources behind that have host and path, too.
    ///
    /// ```
    /// # use narrows_jobs::names::Naming;
    /// let mut naming = Naming::streamed(false);
    /// let urls = ["http://h/x/a", "http://h/y/a"];
    /// (0..).zip(urls).for_each(|(index, url)| naming.note(index, url));
    /// assert_eq!(naming.place(1, urls[1]).path, "h/y/a");
    /// ```
    pub fn streamed(unpacks: bool) -> Self {
        Self { unpacks, counted: Counted::Streamed(BTreeMap::new()), ..Self::default() }
    }

    /// Sources of the list, if it was read for their names.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// Whether the list itself names some of its sources, if it was read.
    pub fn has_names(&self) -> bool {
        self.has_names
    }

    /// A source of a streamed list, in the list's order. Nothing otherwise.
    pub fn note(&mut self, index: u64, url: &str) {
        let bare = value(&self.last(&Address::of(url)));
        if let Counted::Streamed(first) = &mut self.counted
            && (first.len() < EXACT_MAX || first.contains_key(&bare))
        {
            first.entry(bare).or_insert(index);
        }
    }

    /// Names for a list that can be read before the run: `each_source` calls what it is given with every source
    /// of it, the same at every call. A list of more than [`EXACT_MAX`] sources is read once, for what all paths
    /// have in common; a shorter one four times.
    pub fn of(each_source: impl Fn(&mut dyn FnMut(&Source)), unpacks: bool) -> Self {
        let mut naming = Self { unpacks, ..Self::default() };
        let mut common: Option<Vec<String>> = None;
        let (mut count, mut before) = (0, String::new());
        each_source(&mut |source| {
            count += 1;
            naming.has_names |= source.key.is_some();
            // Neighbours are of one folder in most lists.
            let folder = folder_of(&source.url);
            if folder == before && folder.contains("://") {
                return;
            }
            folder.clone_into(&mut before);
            let Address { host, folders, .. } = Address::of(&source.url);
            let own = std::iter::once(host).chain(folders);
            match &mut common {
                None => common = Some(own.collect()),
                Some(common) => {
                    let same = common.iter().zip(own).take_while(|(one, other)| *one == other).count();
                    common.truncate(same);
                }
            }
        });
        naming.common = common.unwrap_or_default();
        naming.count = Some(count as u64);
        if count > EXACT_MAX {
            naming.counted = Counted::Not;
            return naming;
        }
        // Of each level the values; of plain files their names without an extension, of archives theirs.
        let mut values: [Vec<u64>; 4] = Default::default();
        let (mut stems, mut archives) = (Vec::new(), Vec::new());
        each_source(&mut |source| {
            if source.key.is_some() {
                return; // named by the list
            }
            let address = Address::of(&source.url);
            for (values, level) in values.iter_mut().zip([Level::Name, Level::Path, Level::Query, Level::Hash]) {
                values.push(value(&naming.path(&address, level, 0)));
            }
            let last = naming.last(&address);
            match naming.is_archive(&address) {
                true => archives.push(value(&last)),
                false => stems.push(value(split_extension(&last).0)),
            }
        });
        stems.sort_unstable();
        archives.retain(|archive| has(&stems, *archive));
        archives.sort_unstable();
        let shared = values.map(shared);
        naming.counted = Counted::Exactly { shared, crossed: Vec::new(), foldered: archives };
        let crossed = naming.crossed(&each_source);
        if let Counted::Exactly { crossed: unset, .. } = &mut naming.counted {
            *unset = crossed;
        }
        naming
    }

    /// Addresses whose path is also another's, or a folder of another's, by their value.
    fn crossed(&self, each_source: &impl Fn(&mut dyn FnMut(&Source))) -> Vec<u64> {
        let each_path = |each: &mut dyn FnMut(&Source, &str)| {
            let mut index = 0;
            each_source(&mut |source| {
                if source.key.is_none() {
                    each(source, &self.place(index, &source.url).path);
                }
                index += 1;
            });
        };
        let (mut paths, mut folders) = (Vec::new(), Vec::new());
        each_path(&mut |_, path| {
            folders.extend(path.match_indices('/').map(|(end, _)| value(&path[..end])));
            paths.push(value(path));
        });
        folders.sort_unstable();
        folders.dedup();
        let shared = shared(paths);
        let mut crossed = Vec::new();
        each_path(&mut |source, path| {
            let path = value(path);
            if has(&shared, path) || has(&folders, path) {
                crossed.push(value(&source.url));
            }
        });
        crossed.sort_unstable();
        crossed
    }

    /// Where the files of a source go. `index` is its place in the list.
    pub fn place(&self, index: u64, url: &str) -> Place {
        let address = Address::of(url);
        let path = |level| self.path(&address, level, index);
        let by_query = || if address.has_query() { Level::Query } else { Level::Path };
        let (level, foldered) = match &self.counted {
            // Nothing is known of the others, so all that is different makes a difference.
            Counted::Not if address.has_query() && !address.is_query_whole() => (Level::Hash, false),
            Counted::Not => (by_query(), false),
            Counted::Streamed(first) => match first.get(&value(&path(Level::Name))) {
                Some(first) if *first == index => (Level::Name, false),
                _ => (by_query(), false),
            },
            Counted::Exactly { shared, crossed, foldered } => {
                let levels = [Level::Name, Level::Path, Level::Query, Level::Hash];
                let alone = levels.into_iter().zip(shared).find(|(level, shared)| !has(shared, value(&path(*level))));
                let level = alone.map_or(Level::Number, |(level, _)| level);
                let is_crossed = level != Level::Number && !crossed.is_empty() && has(crossed, value(url));
                let foldered = self.is_archive(&address) && has(foldered, value(&self.last(&address)));
                (if is_crossed { Level::Flat } else { level }, foldered)
            }
        };
        let is_kept_whole = foldered || !self.is_archive(&address);
        let path = path(level);
        Place { folder: path.clone(), path, alone: (!is_kept_whole).then(|| self.last(&address)) }
    }

    /// The last component: of what is unpacked, without the ending that says that it is packed.
    fn last(&self, address: &Address<'_>) -> String {
        if self.unpacks { unpacked(&address.name).to_owned() } else { address.name.clone() }
    }

    fn is_archive(&self, address: &Address<'_>) -> bool {
        self.unpacks && is_zip(&address.name)
    }

    fn path(&self, address: &Address<'_>, level: Level, index: u64) -> String {
        let last = self.last(address);
        let last = match level {
            Level::Name => return last,
            Level::Flat => return marked(&last, &format!("~{}", address.hash())),
            Level::Path => last,
            Level::Query => match address.query() {
                Some(query) => marked(&last, &format!("_{query}")),
                None if address.has_query() => marked(&last, &format!("~{}", address.hash())),
                None => last,
            },
            Level::Hash => marked(&last, &format!("~{}", address.hash())),
            Level::Number => marked(&last, &format!("~{index}")),
        };
        let host = Some(&address.host).filter(|host| !host.is_empty());
        let folders = host.into_iter().chain(&address.folders).skip(self.common.len()).map(String::as_str);
        folders.chain([last.as_str()]).collect::<Vec<_>>().join("/")
    }
}

/// The address up to its last segment, as it is written.
fn folder_of(url: &str) -> &str {
    let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let path = path.trim_end_matches('/');
    &path[..path.rfind('/').unwrap_or(0)]
}

/// Places that several sources of a list would have: which of them is first must not decide whose file is kept.
///
/// ```
/// use narrows_jobs::names::SharedPlaces;
///
/// let shared = SharedPlaces::of(|each| ["a", "b", "A"].into_iter().for_each(each));
/// assert!(shared.has("a") && !shared.has("b"));
/// ```
#[derive(Debug, Default)]
pub struct SharedPlaces(Vec<u64>);

impl SharedPlaces {
    /// `each_path` calls what it is given with the place of every source. Of more than [`EXACT_MAX`] the rest is not
    /// compared.
    pub fn of(each_path: impl FnOnce(&mut dyn FnMut(&str))) -> Self {
        let mut values = Vec::new();
        each_path(&mut |path| {
            if values.len() < EXACT_MAX {
                values.push(value(path));
            }
        });
        Self(shared(values))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another source has this place, too.
    pub fn has(&self, path: &str) -> bool {
        !self.is_empty() && has(&self.0, value(path))
    }
}

fn ends_with(name: &str, ending: &str) -> bool {
    let at = name.len().checked_sub(ending.len()).filter(|at| *at > 0);
    at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// Whether a name is that of an archive of entries.
pub(super) fn is_zip(name: &str) -> bool {
    ends_with(name, ".zip")
}

/// The name without the ending of an archive or a compressed stream.
///
/// ```
/// assert_eq!(narrows_jobs::names::unpacked("a.csv.GZ"), "a.csv");
/// ```
pub fn unpacked(name: &str) -> &str {
    let ending = [".zip", ".gz", ".zst", ".zstd"].into_iter().find(|ending| ends_with(name, ending));
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

/// The last segment of an address, as a name that is harmless in any folder.
///
/// ```
/// assert_eq!(narrows_jobs::names::name_of("http://host/a/b%20c.zip?token=secret"), "b c.zip");
/// ```
pub fn name_of(url: &str) -> String {
    Address::of(url).name
}

/// Whether a relative path stays below the folder it is joined to, and takes no place that is kept.
///
/// ```
/// use narrows_jobs::names::is_contained;
///
/// assert!(is_contained("a/b.csv") && !is_contained("../b.csv") && !is_contained("/b") && !is_contained(".narrows-1/b"));
/// ```
pub fn is_contained(path: &str) -> bool {
    let harmless = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    path.split('/').all(harmless) && !path.to_lowercase().starts_with(RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(urls: &[&str], unpacks: bool) -> Vec<Place> {
        let naming = Naming::of(|each| urls.iter().for_each(|url| each(&Source::new(*url))), unpacks);
        (0..).zip(urls).map(|(index, url)| naming.place(index, url)).collect()
    }

    fn paths(urls: &[&str]) -> Vec<String> {
        places(urls, false).into_iter().map(|place| place.path).collect()
    }

    #[test]
    fn a_name_has_as_much_of_its_address_as_tells_it_apart() {
        assert_eq!(paths(&["http://h/a/x.csv", "http://h/a/y.csv"]), ["x.csv", "y.csv"]);
        let six = ["jan", "feb", "mar"].map(|month| format!("http://h/data/{month}/data.csv"));
        let six: Vec<_> = six.iter().map(String::as_str).collect();
        assert_eq!(paths(&six), ["jan/data.csv", "feb/data.csv", "mar/data.csv"]);
        assert_eq!(paths(&["http://h/x", "https://g/x", "http://h/y"]), ["h/x", "g/x", "y"]);
        assert_eq!(paths(&["http://h/get?id=1", "http://h/get?id=2"]), ["get_id=1", "get_id=2"]);
        assert_eq!(paths(&["http://h/f.csv?id=1", "http://h/f.csv"]), ["f_id=1.csv", "f.csv"]);
        // What differs only in secrets is told by a hash; so is what differs only in case.
        let signed = paths(&["http://h/f.csv?sig=ONE", "http://h/f.csv?sig=TWO"]);
        assert!(
            signed[0] != signed[1] && !signed.concat().contains("ONE") && signed[0].ends_with(".csv"),
            "{signed:?}"
        );
        let cases = paths(&["http://h/A.csv", "http://h/a.csv"]);
        assert_ne!(cases[0].to_lowercase(), cases[1].to_lowercase());
        // The same address twice is two files.
        assert_eq!(paths(&["http://h/f.csv", "http://h/f.csv"]), ["f~0.csv", "f~1.csv"]);
    }

    #[test]
    fn no_file_takes_the_place_of_a_folder() {
        let paths = paths(&["http://h/z/x", "http://h/x/b.csv", "http://h/y/b.csv"]);
        assert!(paths[0].starts_with("x~") && paths[1] == "x/b.csv" && paths[2] == "y/b.csv", "{paths:?}");
    }

    #[test]
    fn archives_have_folders_of_their_own() {
        let places = places(&["http://h/a.zip", "http://h/b.ZIP", "http://h/b.csv", "http://h/c.json.gz"], true);
        let only = |index: usize, entry| places[index].only(entry);
        assert_eq!([only(0, "a"), only(0, "a.csv")], [Some("a".into()), Some("a.csv".into())]);
        assert_eq!(
            [only(0, "data.csv"), only(0, "a.d/x"), only(0, "ab"), only(0, "a.b.csv")],
            [None, None, None, None]
        );
        assert_eq!(only(1, "b.csv"), None, "which is another source's name");
        assert_eq!(places[3].path, "c.json");
    }

    #[test]
    fn lists_of_any_kind_have_names_that_differ() {
        let hosts = ["http://h", "https://h", "http://g:8"];
        let folders = ["", "/a", "/a/b", "/A", "/x.csv", "/a?", "//a"];
        let names = ["/x.csv", "/X.csv", "/x", "/a", "/", "/x.csv?id=1", "/x.csv?id=2", "/x.csv?key=1", "/x.csv?key=2"];
        let mut random = 1_u64;
        for length in (1..200).chain([500]) {
            let urls: Vec<String> = (0..length)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let pick = |of: usize, bits: u32| (random >> bits) as usize % of;
                    format!("{}{}{}", hosts[pick(3, 33)], folders[pick(7, 40)], names[pick(9, 50)])
                })
                .collect();
            let urls: Vec<_> = urls.iter().map(String::as_str).collect();
            let mut found = paths(&urls);
            assert!(found.iter().all(|path| is_contained(path)), "{found:?}");
            found.iter_mut().for_each(|path| *path = path.to_lowercase());
            let is_folder = |path: &String| found.iter().any(|other| other.starts_with(&format!("{path}/")));
            assert_eq!(found.iter().find(|path| is_folder(path)), None, "of {urls:?}");
            found.sort();
            found.dedup();
            assert_eq!(found.len(), length, "{urls:?}");
        }
    }

    #[test]
    fn lists_too_long_to_be_compared_have_paths() {
        let of = |each: &mut dyn FnMut(&Source)| {
            (0..=EXACT_MAX).for_each(|index| each(&Source::new(format!("http://h/d/{}/x?id={index}", index % 3))));
        };
        let naming = Naming::of(of, false);
        assert_eq!(naming.place(7, "http://h/d/1/x?id=7").path, "1/x_id=7");
        assert_eq!(naming.place(7, "http://h/d/1/x").path, "1/x");
    }

    #[test]
    fn of_a_streamed_list_the_first_has_the_bare_name() {
        let mut naming = Naming::streamed(false);
        let urls = ["http://h/x/a", "http://h/y/a", "http://h/y/a?id=3", "http://h/b"];
        (0..).zip(urls).for_each(|(index, url)| naming.note(index, url));
        let paths: Vec<_> = (0..).zip(urls).map(|(index, url)| naming.place(index, url).path).collect();
        assert_eq!(paths, ["a", "h/y/a", "h/y/a_id=3", "b"]);
    }
}
