//! Runs over a list that are killed, lose their power, or find the list changed, on a disk that keeps what was synced
//! and anything of what was not; and at times says that it has synced when it has not. In the end every line has its
//! file, whatever happened; nothing is passed over whose file is not there and right; and little is fetched twice.

use std::collections::BTreeMap;

use narrows_core::{
    Prng, Source,
    journal::{Evidence, Intent, Journal, line_id},
};

/// The log's size is bounded by that, and the window's intents.
const LOG_MAX: usize = 64 << 10;

/// A file under its name.
#[derive(Clone, Copy)]
struct File {
    inode: u64,
    /// The line it is of.
    id: u64,
    is_durable: bool,
}

/// A disk: the log, and files by the place of their lines.
#[derive(Default)]
struct Disk {
    log: Vec<u8>,
    /// Of the log, what is durable.
    synced: usize,
    files: BTreeMap<u64, File>,
    /// A sync that is only claimed comes after so many more.
    lies_after: u64,
}

impl Disk {
    /// Whether the next sync is one.
    fn syncs(&mut self) -> bool {
        self.lies_after = self.lies_after.wrapping_sub(1);
        self.lies_after != 0
    }

    fn sync_log(&mut self) {
        if self.syncs() {
            self.synced = self.log.len();
        }
    }

    fn sync_files(&mut self) {
        if self.syncs() {
            self.files.values_mut().for_each(|file| file.is_durable = true);
        }
    }

    /// What is left: everything after a kill; of what was not synced, anything after a power cut.
    fn crash(&mut self, is_power_cut: bool, prng: &mut Prng) {
        if !is_power_cut {
            return;
        }
        let volatile = self.log.len() - self.synced;
        self.log.truncate(self.synced + prng.below(volatile as u64 + 1) as usize);
        if self.log.len() > self.synced && prng.below(2) == 0 {
            let at = self.synced + prng.below((self.log.len() - self.synced) as u64) as usize;
            self.log[at] ^= 1 << prng.below(8);
        }
        self.files.retain(|_, file| file.is_durable || prng.below(2) == 0);
        self.files.values_mut().for_each(|file| file.is_durable = true);
        self.synced = self.log.len();
    }
}

/// What a run is at with one line.
enum Step {
    Fetched(u64),
    /// It has its name.
    Named(u64),
    /// Its name is durable, if the disk is honest.
    Durable(u64),
}

struct Runs {
    prng: Prng,
    disk: Disk,
    /// The lines, by their ids.
    list: Vec<u64>,
    window: usize,
    inodes: u64,
    fetches: u64,
}

/// Runs over one list, drawn from a seed, until all is done. Gives a number for all that happened.
///
/// # Errors
///
/// What did not hold.
pub fn check(seed: u64) -> Result<u64, String> {
    let mut prng = Prng::new(seed ^ 0x10_4a1);
    let length_max = [20, 300, 3000][prng.below(3) as usize];
    let length = 1 + prng.below(length_max);
    let list = (0..length).map(|index| line_id(&Source::new(format!("http://h/{seed}/{index}")))).collect();
    let window = 1 + prng.below(20) as usize;
    let crashes = prng.below(12);
    let disk = Disk { lies_after: if prng.below(4) == 0 { 1 + prng.below(length) } else { 0 }, ..Disk::default() };
    let mut runs = Runs { prng, disk, list, window, inodes: 0, fetches: 0 };
    let what = |text: String| format!("seed {seed}: {text}");
    // Lines of ranges in which one was changed or forgotten may be fetched again, all of them.
    let mut allowed = length;
    for run in 0..=crashes {
        let steps = if run == crashes { u64::MAX } else { runs.prng.below(3 * length + 1) };
        let done_before = runs.run(steps).map_err(what)?;
        let is_power_cut = runs.prng.below(2) == 0;
        runs.disk.crash(is_power_cut, &mut runs.prng);
        // What a run has fetched and not noted: its window, and the group that waits for its sync.
        allowed += runs.window as u64 + 64 + if is_power_cut { runs.lost() } else { 0 };
        if run < crashes && runs.prng.below(4) == 0 {
            let at = runs.prng.below(length) as usize;
            runs.list[at] ^= 1 << runs.prng.below(64);
            allowed += 1 + done_before.min(1024);
        }
    }
    let wrong = (0..).zip(&runs.list).find(|(place, id)| runs.disk.files.get(place).is_none_or(|file| file.id != **id));
    if let Some((place, _)) = wrong {
        return Err(what(format!("line {place} of {length} has no file, or another line's")));
    }
    if runs.disk.lies_after == 0 && runs.fetches > allowed {
        return Err(what(format!("{} fetches of {length} lines, {allowed} may be", runs.fetches)));
    }
    Ok(runs.fetches.wrapping_mul(0x9e37_79b9) ^ runs.inodes.rotate_left(32) ^ runs.disk.log.len() as u64)
}

impl Runs {
    /// Lines whose files a power cut has taken.
    fn lost(&self) -> u64 {
        self.list.len() as u64 - self.disk.files.len() as u64
    }

    /// Writes the log anew: beside the old one, synced, and renamed over it.
    fn renew(&mut self, journal: &mut Journal) {
        self.disk.log = journal.snapshot();
        self.disk.synced = self.disk.log.len();
    }

    /// One run, of so many steps at most; gives what was done before it.
    fn run(&mut self, steps: u64) -> Result<u64, String> {
        let (mut journal, is_whole) = if self.disk.log.is_empty() {
            (Journal::new(1), false)
        } else {
            let (found, torn) = Journal::recover(&self.disk.log, 1).map_err(|error| error.to_string())?;
            (found, torn == 0)
        };
        if !is_whole {
            self.renew(&mut journal);
        }
        let before = journal.done_count();
        journal.verify(|line| self.list.iter().for_each(|id| line(*id)));
        if journal.is_long() {
            self.renew(&mut journal);
        }
        let pending: Vec<u64> =
            (0..self.list.len() as u64).filter(|place| !self.is_known(&mut journal, *place)).collect();
        self.disk.sync_files();
        self.disk.sync_log();
        let mut pending = pending.into_iter();
        let mut open: Vec<Step> = Vec::new();
        for _ in 0..steps {
            if open.len() < self.window
                && let Some(place) = pending.next()
            {
                self.fetches += 1;
                open.push(Step::Fetched(place));
                continue;
            }
            if open.is_empty() {
                break;
            }
            let at = self.prng.below(open.len() as u64) as usize;
            match open.swap_remove(at) {
                Step::Fetched(place) => {
                    self.inodes += 1;
                    let id = self.list[place as usize];
                    let evidence = Evidence { inode: self.inodes, ..Evidence::default() };
                    let intent = Intent { id, evidence, path: format!("{place}") };
                    self.disk.log.extend(journal.intend(place, intent));
                    self.disk.files.insert(place, File { inode: self.inodes, id, is_durable: false });
                    open.push(Step::Named(place));
                }
                Step::Named(place) => {
                    self.disk.sync_files();
                    open.push(Step::Durable(place));
                }
                Step::Durable(place) => {
                    self.disk.log.extend(journal.done(place, self.list[place as usize]));
                    if journal.is_long() {
                        self.renew(&mut journal);
                    } else if self.prng.below(3) == 0 {
                        self.disk.sync_log();
                    }
                }
            }
            if self.disk.log.len() > LOG_MAX + 64 * self.window {
                return Err(format!("a log of {} bytes", self.disk.log.len()));
            }
        }
        Ok(before)
    }

    /// Whether a line need not be fetched, as a caller decides: noted as done and there, or intended and there.
    fn is_known(&mut self, journal: &mut Journal, place: u64) -> bool {
        let file = self.disk.files.get(&place);
        if journal.is_done(place) {
            return file.is_some();
        }
        let is_own = journal.intent(place).zip(file).is_some_and(|(intent, file)| intent.evidence.inode == file.inode);
        if is_own {
            self.disk.log.extend(journal.done(place, self.list[place as usize]));
        }
        is_own
    }
}
