//! What of a list is done, in a log that survives a kill and a power cut: its form and its recovery. No I/O
//! of its own: bytes go out to be appended, and come back in when a run begins.
//!
//! A run appends an *intent* when the files of a source are about to get their names, and *done* when they are
//! durable there. What is done is kept as ranges of the list, each with a sum over its lines; so the log's size
//! does not grow with the list, and a line that was changed is noticed when the list is read again
//! ([`Journal::verify`]). An intent without its done is of a run that was killed in between: it says how to know the
//! files, and the caller looks whether they are there.
//!
//! The order is the caller's duty: data, folder, report, and only then the log. What a log has and a disk has not
//! would never be fetched again; what a disk has and the log has not is fetched twice.
//!
//! * `ranges.rs`: what is done.
//! * `record.rs`: bytes.

mod ranges;
mod record;

use std::{collections::BTreeMap, error::Error as StdError, fmt};

use sha2::{Digest, Sha256};

use crate::source::Source;
use ranges::Ranges;
use record::{HEADER_BYTES, Record};

/// Ranges kept at most. Where there are more, which takes as many sources that fail, the shortest are forgotten.
const RANGES_MAX: usize = 2048;
/// Bytes appended after which a log should be written anew.
const APPENDED_MAX: u64 = 20 << 10;
/// Damage that is nearer to the end is what a power cut leaves of the last writes.
const TORN_MAX: usize = 16 << 10;

/// Which files stand for a source, so that they are known again: of the first, its number on the disk, its length
/// and its time of change.
///
/// No example: it is made of what a file system tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Evidence {
    /// The inode.
    pub inode: u64,
    /// Bytes; 0 for a folder.
    pub bytes: u64,
    /// Nanoseconds since 1970; 0 for a folder.
    pub modified: u64,
}

/// Files that were about to get their names.
///
/// No example: [`Journal::intend`] takes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// The line, by [`line_id`].
    pub id: u64,
    /// How the files are known.
    pub evidence: Evidence,
    /// Where they go, below the output; at most [`PATH_MAX`] bytes.
    pub path: String,
}

/// Longest path of an intent, in bytes. Longer ones are not kept: such a source is fetched again after a kill.
pub const PATH_MAX: usize = 1024;

/// What of a list is done.
///
/// ```
/// use narrows_core::{Source, journal::{Journal, line_id}};
///
/// let list: Vec<_> = (0..1000).map(|index| Source::new(format!("http://h/{index}"))).collect();
/// let mut journal = Journal::new(7);
/// let mut log = journal.snapshot();
/// for (position, source) in (0..900).zip(&list) {
///     log.extend(journal.done(position, line_id(source)));
/// }
/// let (mut found, lost) = Journal::recover(&log[..log.len() - 1], 7).unwrap();
/// assert!(lost > 0, "the last record is torn");
/// found.verify(|line| list.iter().for_each(|source| line(line_id(source))));
/// assert!(found.is_done(898) && !found.is_done(899));
/// assert!(found.snapshot().len() < 100);
/// ```
#[derive(Clone, Debug)]
pub struct Journal {
    job: u64,
    done: Ranges,
    intents: BTreeMap<u64, Intent>,
    /// Bytes since the last snapshot.
    appended: u64,
}

/// Why a log cannot be used.
///
/// No example: [`Journal::recover`] has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JournalError {
    /// It is something else.
    NotAJournal,
    /// A newer version of narrows has written it.
    Newer {
        /// Its version.
        version: u8,
    },
    /// It is of another job.
    OtherJob,
    /// It is damaged, and not only at its end.
    Damaged {
        /// Where.
        at: u64,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAJournal => f.write_str("this is no journal of narrows"),
            Self::Newer { version } => write!(f, "a newer narrows has written this journal (version {version})"),
            Self::OtherJob => f.write_str("this journal is of another job: what is made of its sources differs"),
            Self::Damaged { at } => write!(f, "this journal is damaged at byte {at}"),
        }
    }
}

impl StdError for JournalError {}

/// A line as a part of a range's sum. Where it stands counts, for names may depend on that.
fn part(position: u64, id: u64) -> u64 {
    (id ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// A value that stands for what a line of a list asks for: address, name, size and digests. Another line has the same by
/// chance once in 2^64.
///
/// ```
/// # use narrows_core::{Source, journal::line_id};
/// assert_ne!(line_id(&Source::new("http://h/a")), line_id(&Source::new("http://h/a").size(5)));
/// ```
pub fn line_id(source: &Source) -> u64 {
    let mut hash = Sha256::new();
    hash.update((source.url.len() as u64).to_le_bytes());
    hash.update(source.url.as_bytes());
    let name = source.key.as_deref().unwrap_or_default();
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    let size = source.size.map(u64::to_le_bytes);
    let parts = [size.as_ref().map(<[_; 8]>::as_slice), source.md5.as_ref().map(<[_; 16]>::as_slice)];
    for part in parts.into_iter().chain([source.sha256.as_ref().map(<[_; 32]>::as_slice)]) {
        hash.update([u8::from(part.is_some())]);
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

impl Journal {
    /// Nothing is done. `job` stands for what is made of the sources, so that a log of another job is refused.
    ///
    /// ```
    /// # use narrows_core::journal::Journal;
    /// assert_eq!(Journal::new(7).done_count(), 0);
    /// ```
    pub fn new(job: u64) -> Self {
        Self { job, done: Ranges::default(), intents: BTreeMap::new(), appended: 0 }
    }

    /// Reads a log, and says how many bytes at its end are not whole, as a kill or a power cut leaves them: they
    /// are to be cut off before anything is appended. What they said is as if it had not happened.
    ///
    /// # Errors
    ///
    /// Why it is none that can be used.
    ///
    /// ```
    /// # use narrows_core::journal::{Journal, JournalError};
    /// let log = Journal::new(7).snapshot();
    /// assert_eq!(Journal::recover(&log, 8).unwrap_err(), JournalError::OtherJob);
    /// ```
    pub fn recover(log: &[u8], job: u64) -> Result<(Self, u64), JournalError> {
        if log.is_empty() {
            return Err(JournalError::NotAJournal);
        }
        let own = record::header(log)?;
        if own != job {
            return Err(JournalError::OtherJob);
        }
        let mut journal = Self::new(job);
        let mut at = HEADER_BYTES;
        while at < log.len() {
            let Some((record, length)) = record::read(&log[at..]) else {
                let left = log.len() - at;
                if left > TORN_MAX {
                    return Err(JournalError::Damaged { at: at as u64 });
                }
                return Ok((journal, left as u64));
            };
            match record {
                Record::Done { start, count, sum } => {
                    journal.intents.retain(|position, _| !(start..start.saturating_add(count)).contains(position));
                    journal.done.insert(start, count, sum);
                }
                Record::Intent(position, intent) => drop(journal.intents.insert(position, intent)),
            }
            at += length;
            journal.appended += length as u64;
        }
        Ok((journal, 0))
    }

    /// The log of all that is known, to take the place of what was appended.
    ///
    /// ```
    /// # use narrows_core::journal::Journal;
    /// let mut journal = Journal::new(7);
    /// (0..100_000).for_each(|position| drop(journal.done(position, position * 3)));
    /// assert!(journal.is_long() && journal.snapshot().len() < 4096);
    /// assert!(!journal.is_long());
    /// ```
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.appended = 0;
        let mut log = record::begin(self.job);
        self.done.iter().for_each(|(start, count, sum)| record::done(&mut log, start, count, sum));
        self.intents.iter().for_each(|(position, intent)| record::intent(&mut log, *position, intent));
        log
    }

    /// Whether so much was appended that a [`snapshot`](Self::snapshot) should take its place.
    pub fn is_long(&self) -> bool {
        self.appended > APPENDED_MAX
    }

    /// The files of a source are about to get their names: what to append, before they do. It need not be durable:
    /// without it, the source is fetched again.
    pub fn intend(&mut self, position: u64, intent: Intent) -> Vec<u8> {
        let mut log = Vec::new();
        if intent.path.len() <= PATH_MAX {
            record::intent(&mut log, position, &intent);
            self.intents.insert(position, intent);
            self.appended += log.len() as u64;
        }
        log
    }

    /// A source is done: what to append, after all that it stands for is durable.
    pub fn done(&mut self, position: u64, id: u64) -> Vec<u8> {
        let mut log = Vec::new();
        if !self.done.contains(position) {
            record::done(&mut log, position, 1, part(position, id));
            self.done.insert(position, 1, part(position, id));
            self.appended += log.len() as u64;
        }
        self.intents.remove(&position);
        log
    }

    /// Whether the source in this place of the list is done.
    pub fn is_done(&self, position: u64) -> bool {
        self.done.contains(position)
    }

    /// What was intended with the source in this place, if it is not known to be done.
    pub fn intent(&self, position: u64) -> Option<&Intent> {
        self.intents.get(&position)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.intents.is_empty() && self.done_count() == 0
    }

    /// Sources that are done.
    pub fn done_count(&self) -> u64 {
        self.done.iter().map(|(_, count, _)| count).sum()
    }

    /// Reads the list, which may have been changed, and forgets what is no longer true: ranges with other lines in
    /// them, or behind its end. Gives how many sources were forgotten; the log then has to be written anew before
    /// anything is fetched ([`is_long`](Self::is_long) says so), for a line may change back when its file no longer is
    /// what it was. `each_line` calls what it is given with the [`line_id`] of every line in order; a line that is none
    /// counts with any value.
    pub fn verify(&mut self, each_line: impl FnOnce(&mut dyn FnMut(u64))) -> u64 {
        let mut ranges = self.done.iter().peekable();
        let (mut kept, mut forgotten) = (Ranges::default(), 0);
        let (mut position, mut sum) = (0_u64, 0_u64);
        let intents = &mut self.intents;
        each_line(&mut |id| {
            if intents.get(&position).is_some_and(|intent| intent.id != id) {
                intents.remove(&position);
            }
            if let Some((start, count, expected)) = ranges.peek().copied()
                && position >= start
            {
                sum = sum.wrapping_add(part(position, id));
                if position + 1 == start + count {
                    if sum == expected {
                        kept.insert(start, count, expected);
                    } else {
                        forgotten += count;
                    }
                    sum = 0;
                    ranges.next();
                }
            }
            position += 1;
        });
        forgotten += ranges.map(|(_, count, _)| count).sum::<u64>();
        intents.retain(|own, _| *own < position);
        self.done = kept;
        if forgotten > 0 {
            self.appended = APPENDED_MAX + 1;
        }
        forgotten
    }
}
