//! Published checksums: fetched a few files ahead of the files they are of.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use narrows_core::{Budget, Clock, Fetch, Options, OptionsError, Order, Outcome, Source, Window};

use super::files::File;

/// Most bytes of a file of checksums: a digest, a name.
const BYTES_MAX: u64 = 4096;
/// Checksums fetched at once.
const AT_ONCE: usize = 4;

/// What published checksums are worth. They have been wrong for files that were right.
///
/// ```
/// use narrows_jobs::bars::ChecksumPolicy;
///
/// assert_eq!("warn".parse(), Ok(ChecksumPolicy::Warn));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ChecksumPolicy {
    /// A file without one, or with another one, ends the run.
    #[default]
    Require,
    /// It is counted and told.
    Warn,
    /// They are not asked for.
    Skip,
}

impl std::str::FromStr for ChecksumPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "require" => Ok(Self::Require),
            "warn" => Ok(Self::Warn),
            "skip" => Ok(Self::Skip),
            _ => Err(format!("{text:?} is none of require, warn and skip")),
        }
    }
}

/// What is known of a file's checksum.
///
/// No example: [`Expectations`] has it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Checksum {
    /// SHA-256 of the file as published.
    Known([u8; 32]),
    /// It is not asked for.
    Skipped,
    /// There is none.
    Missing,
    /// It could not be had, or is none: why.
    Unusable(String),
}

/// The files that were pulled and not yet delivered, in order, each with what is expected of it.
///
/// No example: [`sources`] fills it, and [`run`](super::run) empties it.
#[derive(Clone, Debug, Default)]
pub struct Expectations(Arc<Mutex<VecDeque<Expected>>>);

/// A file, and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) file: File,
    pub(super) checksum: Checksum,
    /// Without a checksum that holds, the run ends.
    pub(super) is_required: bool,
}

impl Expectations {
    fn push(&self, expected: Expected) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(expected);
    }

    /// The next file and what is expected of it.
    pub(super) fn pop(&self) -> Option<Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The sources of a window over `files`, for [`run`](super::run); it must be in the list's order. Their
/// checksums are fetched through a small window of their own, whose memory is set aside of `budget`: what
/// is left of that is the first thing returned.
///
/// `overrides` names files whose checksum is only warned of, because it is known to be wrong.
///
/// # Errors
///
/// [`OptionsError`] if the budget has no room for that.
///
/// No example: it takes a fetch and a clock, and so a program; see `tests/bars.rs`.
pub fn sources<F, C>(
    files: impl Iterator<Item = File> + Clone + Send + 'static,
    policy: ChecksumPolicy,
    overrides: Vec<String>,
    headers: &[(String, String)],
    (fetch, clock, budget, options): (F, C, &Budget, &Options),
) -> Result<(Budget, BoxStream<'static, Source>, Expectations), OptionsError>
where
    F: Fetch + Clone + Send + Sync + 'static,
    F::Future: Send,
    F::Body: Send,
    C: Clock + Clone + Send + Sync + 'static,
    C::Sleep: Send,
{
    let expectations = Expectations::default();
    let headers: Arc<[_]> = headers.into();
    let note = expectations.clone();
    let source = {
        let headers = headers.clone();
        move |file: File, checksum: Checksum| {
            let is_required = policy == ChecksumPolicy::Require && !overrides.contains(&file.name);
            let source = Source::new(file.url.as_str()).key(file.name.as_str()).headers(headers.clone());
            let source = match &checksum {
                Checksum::Known(digest) if is_required => source.sha256(*digest),
                _ => source,
            };
            note.push(Expected { file, checksum, is_required });
            source
        }
    };
    if policy == ChecksumPolicy::Skip {
        let files = stream::iter(files.map(move |file| source(file, Checksum::Skipped)));
        return Ok((budget.clone(), files.boxed(), expectations));
    }
    let small = options
        .clone()
        .name("checksums")
        .limit(AT_ONCE)
        .order(Order::List)
        .unpack(None)
        .file_size_max(BYTES_MAX)
        .collect_max(BYTES_MAX)
        .not_found(narrows_core::NotFound::Skip)
        .guard(None)
        .adapts_limit(false);
    let needed = small.working_set(fetch.profile()).total() * AT_ONCE as u64;
    let (rest, aside) = budget.set_aside(needed).map_err(OptionsError::Budget)?;
    let wanted = files.clone().map(move |file| Source::new(file.checksum_url()).headers(headers.clone()));
    let window = Window::from_iter(wanted, fetch, clock, &aside, small)?;
    let checked = stream::unfold((window, files), move |(mut window, mut files)| {
        let source = source.clone();
        async move {
            let (file, mut delivery) = (files.next()?, window.next().await?);
            let read = delivery.collect(BYTES_MAX).await.map(|text| expected_digest(&text, &file.name));
            let checksum = match (delivery.finish().outcome, read) {
                (Outcome::Skipped, _) => Checksum::Missing,
                (Outcome::Done(_), Ok(Some(digest))) => Checksum::Known(digest),
                (Outcome::Done(_), Ok(None)) => Checksum::Unusable("no line of it is of this file".into()),
                (Outcome::Failed(failure), _) => Checksum::Unusable(failure.to_string()),
                (other, _) => Checksum::Unusable(format!("it ended as {}", other.name())),
            };
            Some((source(file, checksum), (window, files)))
        }
    });
    Ok((rest, checked.boxed(), expectations))
}

/// The digest that a file of checksums gives for a name: lines of 64 hexadecimal digits, blanks and, for
/// a file read as binary, an asterisk, and the name, as `sha256sum` writes them.
///
/// ```
/// let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.zip\n";
/// assert!(narrows_jobs::bars::expected_digest(text.as_bytes(), "a.zip").is_some());
/// assert!(narrows_jobs::bars::expected_digest(text.as_bytes(), "b.zip").is_none());
/// ```
pub fn expected_digest(text: &[u8], name: &str) -> Option<[u8; 32]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let (digits, rest) = line.split_at_checked(64)?;
        let rest = rest.strip_prefix(b" ")?.trim_ascii();
        let listed = rest.strip_prefix(b"*").unwrap_or(rest);
        if listed != name.as_bytes() {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(digest)
    })
}
