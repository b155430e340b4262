//! Options as JavaScript gives them. Names that are not known are refused: a limit that is
//! misspelt and ignored would be no limit.

use std::{cell::Cell, fmt, time::Duration};

use js_sys::{Object, Reflect};
use narrows_browser::{BrowserFetch, BrowserOptions};
use narrows_core::{Fetch, NotFound, Options, Order, unpack};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, Visitor},
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::{RequestCache, RequestCredentials};

use crate::errors;

/// Options of a stream. What is left out has the core's default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StreamOptions {
    name: Option<String>,
    limit: Option<usize>,
    order: Option<OrderName>,
    retries: Option<u32>,
    max_retry_after: Option<u64>,
    idle_timeout: Option<u64>,
    min_rate: Option<u64>,
    rate_period: Option<u64>,
    max_file_size: Option<u64>,
    not_found: Option<NotFoundName>,
    /// Read apart, for it may be a boolean.
    unpack: IgnoredAny,
    /// What makes files done; kept by the interface.
    commit: Option<Commit>,
    block_bytes: Option<usize>,
    segment_bytes: Option<u64>,
    segments_ahead: Option<u32>,
    collect: Option<u64>,
    sha256: Option<bool>,
    bodies_per_host: Option<usize>,
    credentials: Option<Credentials>,
    cache: Option<CacheMode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UnpackOptions {
    format: Option<FormatName>,
    max_entry_size: Option<u64>,
    max_archive_size: Option<u64>,
    max_entries: Option<u32>,
    max_ratio: Option<u32>,
    max_name_bytes: Option<u16>,
    max_zstd_window: Option<u64>,
    allow: AllowOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AllowOptions {
    prefixed_data: bool,
    trailing_data: bool,
    duplicate_names: bool,
    descriptor_flag_mismatch: bool,
    suspicious_comment: bool,
}

/// A word of an option, and what it stands for.
macro_rules! words {
    ($name:ident { $($word:ident),* }) => {
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum $name { $($word),* }
    };
}
words!(OrderName { Ready, List });
words!(NotFoundName { Fail, Skip });
words!(Commit { Read, Explicit });
words!(FormatName { Plain, Zip, Gzip, Zstd });
words!(Credentials { Omit, SameOrigin, Include });
words!(CacheMode { Default, NoStore, Reload, NoCache, ForceCache });

/// What a stream is made of.
pub(crate) struct Checked {
    pub(crate) options: Options,
    pub(crate) fetch: BrowserFetch,
}

/// Bytes that every file may keep for collecting: most tables and documents that are read whole.
const COLLECT_BYTES: u64 = 1 << 20;

pub(crate) fn read(value: &JsValue) -> Result<Checked, JsValue> {
    let given: StreamOptions = strict(value, "")?;
    let nested = |name: &str, of: &JsValue| Reflect::get(of, &name.into()).unwrap_or(JsValue::UNDEFINED);
    // `true` is all defaults, `false` is no unpacking.
    let unpack = nested("unpack", value);
    let unpack = match unpack.as_bool() {
        Some(wanted) => wanted.then(UnpackOptions::default),
        None if unpack.is_falsy() => None,
        None => {
            let given = strict::<UnpackOptions>(&unpack, "unpack.")?;
            let allow = strict::<AllowOptions>(&nested("allow", &unpack), "unpack.allow.")?;
            Some(UnpackOptions { allow, ..given })
        }
    };
    let defaults = Options::default();
    let millis = |given: Option<u64>, default: Duration| given.map_or(default, Duration::from_millis);
    let retry = defaults
        .retry
        .retries_max(given.retries.unwrap_or(defaults.retry.retries_max))
        .retry_after_max(millis(given.max_retry_after, defaults.retry.retry_after_max));
    let options = Options::new()
        .name(given.name.unwrap_or_else(next_name))
        .limit(given.limit.unwrap_or(defaults.limit))
        .order(match given.order {
            Some(OrderName::List) => Order::List,
            Some(OrderName::Ready) | None => Order::Ready,
        })
        .retry(retry)
        .idle_timeout(millis(given.idle_timeout, defaults.idle_timeout))
        .min_rate(given.min_rate.unwrap_or(defaults.min_rate))
        .rate_period(millis(given.rate_period, defaults.rate_period))
        .file_size_max(given.max_file_size.unwrap_or(defaults.file_size_max))
        .not_found(match given.not_found {
            Some(NotFoundName::Skip) => NotFound::Skip,
            Some(NotFoundName::Fail) | None => NotFound::Fail,
        })
        .unpack(unpack.map(UnpackOptions::into_core))
        .block_bytes(given.block_bytes.unwrap_or(defaults.block_bytes))
        .segment_bytes(given.segment_bytes.unwrap_or(defaults.segment_bytes))
        .segments_ahead(given.segments_ahead.unwrap_or(defaults.segments_ahead))
        .collect_max(given.collect.unwrap_or(COLLECT_BYTES))
        .sha256(given.sha256.unwrap_or(defaults.sha256))
        .seed(random());
    let browser = BrowserOptions::default();
    let fetch = BrowserFetch::new(BrowserOptions {
        bodies_per_host: given.bodies_per_host.unwrap_or(browser.bodies_per_host),
        credentials: match given.credentials {
            Some(Credentials::Omit) => RequestCredentials::Omit,
            Some(Credentials::Include) => RequestCredentials::Include,
            Some(Credentials::SameOrigin) | None => RequestCredentials::SameOrigin,
        },
        cache: match given.cache {
            Some(CacheMode::Default) => RequestCache::Default,
            Some(CacheMode::Reload) => RequestCache::Reload,
            Some(CacheMode::NoCache) => RequestCache::NoCache,
            Some(CacheMode::ForceCache) => RequestCache::ForceCache,
            Some(CacheMode::NoStore) | None => RequestCache::NoStore,
        },
        // A segment on its way, and the copy of a block that JavaScript holds.
        outside_bytes: options.segment_bytes.saturating_add(options.block_bytes as u64),
    });
    Ok(Checked { options, fetch })
}

impl UnpackOptions {
    fn into_core(self) -> unpack::Options {
        let defaults = unpack::Limits::default();
        let AllowOptions {
            prefixed_data,
            trailing_data,
            duplicate_names,
            descriptor_flag_mismatch,
            suspicious_comment,
        } = self.allow;
        unpack::Options {
            format: self.format.map(|format| match format {
                FormatName::Plain => unpack::Format::Plain,
                FormatName::Zip => unpack::Format::Zip,
                FormatName::Gzip => unpack::Format::Gzip,
                FormatName::Zstd => unpack::Format::Zstd,
            }),
            limits: unpack::Limits {
                entry_bytes_max: self.max_entry_size.unwrap_or(defaults.entry_bytes_max),
                archive_bytes_max: self.max_archive_size.unwrap_or(defaults.archive_bytes_max),
                entries_max: self.max_entries.unwrap_or(defaults.entries_max),
                ratio_max: self.max_ratio.unwrap_or(defaults.ratio_max),
                name_bytes_max: self.max_name_bytes.unwrap_or(defaults.name_bytes_max),
                zstd_window_max: self.max_zstd_window.unwrap_or(defaults.zstd_window_max),
                ..defaults
            },
            allow: unpack::Allow {
                prefixed_data,
                trailing_data,
                duplicate_names,
                descriptor_flag_mismatch,
                suspicious_comment,
            },
            seed: random(),
            ..unpack::Options::default()
        }
    }
}

/// What a stream is called in messages of who waits for whom.
fn next_name() -> String {
    thread_local!(static LAST: Cell<u32> = const { Cell::new(0) });
    LAST.set(LAST.get().wrapping_add(1));
    format!("stream {}", LAST.get())
}

fn random() -> u64 {
    (js_sys::Math::random() * 2f64.powi(53)) as u64
}

/// Options that concern the interface alone.
const FOR_THE_INTERFACE: [&str; 3] = ["signal", "onProgress", "progressInterval"];

/// Reads an object all of whose names must be known; `undefined` is an empty one.
fn strict<T: DeserializeOwned + Default>(value: &JsValue, at: &str) -> Result<T, JsValue> {
    if value.is_undefined() {
        return Ok(T::default());
    }
    let object = value.dyn_ref::<Object>().ok_or_else(|| errors::invalid(format!("{at}options must be an object")))?;
    let known = fields_of::<T>();
    for name in Object::keys(object).iter().filter_map(|name| name.as_string()) {
        if FOR_THE_INTERFACE.contains(&name.as_str()) {
            continue;
        }
        if !known.contains(&name.as_str()) {
            let known = known.join(", ");
            return Err(errors::invalid(format!("unknown option `{at}{name}`; the options are {known}")));
        }
        // One by one, so that the message can say which it was.
        let single = Object::new();
        let given = Reflect::get(object, &name.as_str().into()).unwrap_or(JsValue::UNDEFINED);
        let _ = Reflect::set(&single, &name.as_str().into(), &given);
        serde_wasm_bindgen::from_value::<T>(single.into())
            .map_err(|error| errors::invalid(format!("option `{at}{name}`: {error}")))?;
    }
    serde_wasm_bindgen::from_value(value.clone()).map_err(|error| errors::invalid(error.to_string()))
}

/// The names that a struct reads, from its own `Deserialize`.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    match T::deserialize(FieldNames) {
        Err(Fields(names)) => names,
        Ok(_) => &[],
    }
}

/// A deserializer that only notes which names are asked for.
struct FieldNames;

#[derive(Debug)]
struct Fields(&'static [&'static str]);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fields {}

impl serde::de::Error for Fields {
    fn custom<M: fmt::Display>(_message: M) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for FieldNames {
    type Error = Fields;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fields> {
        Err(Fields(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(fields))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The memory that a stream with these options will need at most: of one file's transfer, term by
/// term and together (`workingSet`), and of as many as the limit and the budget allow (`peak`).
#[wasm_bindgen]
pub fn plan(options: &JsValue, budget: f64) -> Result<JsValue, JsValue> {
    let Checked { options, fetch } = read(options)?;
    let set = options.working_set(fetch.profile());
    let plan = Object::new();
    let peak = set.total().saturating_mul(options.limit as u64).min(budget as u64);
    let terms = set.iter().map(|(term, bytes)| (camel_case(term.name()), bytes));
    for (name, bytes) in terms.chain([("workingSet".into(), set.total()), ("peak".into(), peak)]) {
        let _ = Reflect::set(&plan, &name.into(), &(bytes as f64).into());
    }
    Ok(plan.into())
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}
