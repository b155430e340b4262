//! What the origin serves: files of a directory, and files generated from a seed.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::FileExt,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hyper::Uri;
use narrows_sim::{Prng, gzip};

use crate::{generate, tardis, trades};

/// Generated files that are kept, in bytes.
const CACHE_BYTES: u64 = 512 << 20;

pub(crate) struct Library {
    base: String,
    directory: Option<PathBuf>,
    seed: u64,
    /// Bodies that are being sent: each holds a clone.
    pub(crate) open: Arc<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Requests by address, of those that ask for faults.
    counts: HashMap<String, u64>,
    cache: HashMap<String, Generated>,
    /// In order of arrival; `bytes` is their sum.
    order: VecDeque<String>,
    bytes: u64,
}

#[derive(Clone)]
pub(crate) enum Content {
    Memory(Generated),
    File(Arc<File>, u64),
    /// So many bytes, drawn from a seed where they are read.
    Noise {
        seed: u64,
        length: u64,
    },
}

/// Bytes, and what their validator is made of: hashed once, for a large file is asked for in hundreds of
/// ranges.
#[derive(Clone)]
pub(crate) struct Generated {
    bytes: Bytes,
    tag: u64,
}

impl From<Vec<u8>> for Generated {
    fn from(bytes: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        (bytes.len(), &bytes[..bytes.len().min(256)], &bytes[bytes.len() / 2..]).hash(&mut hasher);
        Self { bytes: bytes.into(), tag: hasher.finish() }
    }
}

impl Library {
    pub(crate) fn new(base: String, directory: Option<PathBuf>, seed: u64) -> Self {
        Self { base, directory, seed, open: Arc::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests for this address came before.
    pub(crate) fn count(&self, uri: &Uri) -> u64 {
        let mut state = self.state();
        if state.counts.len() > 100_000 {
            state.counts.clear();
        }
        let count = state.counts.entry(uri.to_string()).or_default();
        *count += 1;
        *count - 1
    }

    pub(crate) async fn content(&self, path: &str, query: &str, version: u64) -> Option<Content> {
        if let Some(content) = self.directory.as_deref().and_then(|directory| open(directory, path)) {
            return Some(content);
        }
        let parameter = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
                .map(|(_, value)| value)
        };
        let number = |name, default| parameter(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let (folder, name) = path.trim_start_matches('/').split_once('/')?;
        let seed = seed_of(self.seed, &(path, parameter("name"), version));
        let key = format!("{path} {} {version}", number("mb", 0));
        match folder {
            "origin" if name == "open" => {
                Some(Content::Memory((Arc::strong_count(&self.open) - 1).to_string().into_bytes().into()))
            }
            "bytes" => Some(Content::Noise { seed, length: name.parse().ok()? }),
            "gdeltv2" if name == "masterfilelist.txt" => {
                let days = number("days", 1).min(31);
                let from = parameter("from").unwrap_or("20260101").to_owned();
                self.cached(&format!("{key} {from} {days}"), || self.master_list(&from, days)).await
            }
            "gdeltv2" => {
                generate::slot(name, 0)?;
                self.cached(&key, || generate::slot(name, seed)).await
            }
            "events" | "gkg" => {
                let path = path.trim_start_matches('/');
                self.cached(&key, || generate::day_of_one(path, seed)).await
            }
            "data" => {
                let wishes = trades::Wishes {
                    trades: number("trades", 20_000),
                    gap: number("gap", 0),
                    disorder: number("disorder", 0),
                    bad_row: number("bad-row", 0),
                    wrong_checksum: query.split('&').any(|wish| wish == "wrong-checksum"),
                };
                let path = path.trim_start_matches('/');
                self.cached(&format!("{key} {wishes:?}"), || trades::file(path, self.seed, wishes)).await
            }
            "v1" => {
                let wishes = tardis::Wishes {
                    rows: number("rows", 20_000),
                    bad_row: number("bad-row", 0),
                    wrong_header: query.split('&').any(|wish| wish == "wrong-header"),
                };
                self.cached(&format!("{key} {wishes:?}"), || tardis::file(name, seed, wishes)).await
            }
            "entries" => self.cached(&key, || Some(generate::two_entries())).await,
            "trades" | "ticks" => {
                let megabytes = number("mb", 8).clamp(1, 1024) as usize;
                let zipped = folder == "trades";
                self.cached(&key, || Some(generate::series(name, seed, megabytes << 20, zipped))).await
            }
            _ => None,
        }
    }

    async fn cached(&self, key: &str, make: impl FnOnce() -> Option<Vec<u8>>) -> Option<Content> {
        if let Some(generated) = self.state().cache.get(key) {
            return Some(Content::Memory(generated.clone()));
        }
        let generated = tokio::task::block_in_place(|| make().map(Generated::from))?;
        let mut state = self.state();
        if state.cache.insert(key.to_owned(), generated.clone()).is_none() {
            state.order.push_back(key.to_owned());
            state.bytes += generated.bytes.len() as u64;
        }
        while state.bytes > CACHE_BYTES
            && let Some(oldest) = state.order.pop_front()
        {
            let dropped = state.cache.remove(&oldest).map_or(0, |generated| generated.bytes.len() as u64);
            state.bytes -= dropped;
        }
        Some(Content::Memory(generated))
    }

    /// Lines of `size md5 url` for every export slot of some days, as GDELT publishes them.
    fn master_list(&self, from: &str, days: u64) -> Option<Vec<u8>> {
        let mut list = String::new();
        for name in generate::slot_names(from, days)? {
            let path = format!("/gdeltv2/{name}");
            let zip = generate::slot(&name, seed_of(self.seed, &(path.as_str(), None::<&str>, 0u64)))?;
            list += &generate::master_line(&zip, &format!("{}{path}", self.base));
        }
        Some(list.into_bytes())
    }
}

fn seed_of(seed: u64, what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish()
}

/// A file below `directory`, if the path stays there.
fn open(directory: &Path, path: &str) -> Option<Content> {
    let relative = Path::new(path.trim_start_matches('/'));
    let inside = relative.components().all(|component| matches!(component, Component::Normal(_)));
    let file = File::open(directory.join(relative)).ok().filter(|_| inside)?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Content::File(Arc::new(file), metadata.len()))
}

impl Content {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Memory(generated) => generated.bytes.len() as u64,
            Self::File(_, length) | Self::Noise { length, .. } => *length,
        }
    }

    /// What its validator is made of: another one for other bytes.
    pub(crate) fn tag(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Memory(generated) => return generated.tag,
            Self::File(file, length) => {
                let changed = file.metadata().and_then(|metadata| metadata.modified()).ok();
                (length, changed).hash(&mut hasher);
            }
            Self::Noise { seed, length } => (seed, length).hash(&mut hasher),
        }
        hasher.finish()
    }

    /// The bytes from `at`, at most `length` and at least one.
    pub(crate) fn read(&self, at: u64, length: u64) -> io::Result<Bytes> {
        match self {
            Self::Memory(generated) => Ok(generated.bytes.slice(at as usize..(at + length) as usize)),
            Self::File(file, _) => {
                let mut buffer = vec![0; length as usize];
                let read = file.read_at(&mut buffer, at)?;
                buffer.truncate(read);
                match read {
                    0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has shrunk")),
                    _ => Ok(buffer.into()),
                }
            }
            Self::Noise { seed, .. } => {
                let word = |index: u64| Prng::new(seed ^ index.wrapping_mul(0x2545_f491_4f6c_dd1d)).next_u64();
                let mut bytes = Vec::with_capacity(length as usize + 16);
                for index in at / 8..(at + length).div_ceil(8) {
                    bytes.extend(word(index).to_le_bytes());
                }
                Ok(Bytes::from(bytes).slice((at % 8) as usize..(at % 8 + length) as usize))
            }
        }
    }

    /// The same, packed as a content encoding.
    pub(crate) fn gzipped(&self) -> Self {
        let bytes = self.read(0, self.length()).unwrap_or_default();
        Self::Memory(gzip(&bytes).into())
    }
}
