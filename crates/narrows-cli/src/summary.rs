//! What a job came to, as text and as JSON.

use narrows::guard::GuardStats;
use serde::Serialize;

use crate::units::human;

#[derive(Clone, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) cancelled: u64,
    /// Not asked for, because they are there.
    pub(crate) already: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_out: u64,
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) peak_charged_bytes: u64,
    pub(crate) budget_bytes: u64,
    pub(crate) peak_rss_bytes: Option<u64>,
    /// Most transfers at once: allowed at the end, and had at any time.
    pub(crate) limit: u64,
    pub(crate) in_flight_peak: u64,
    /// What a guard has done, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<Guarded>,
    pub(crate) elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bars: Option<BarsSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tables: Option<TablesSummary>,
}

/// What was made of tables.
#[derive(Clone, Default, Serialize)]
pub(crate) struct TablesSummary {
    /// Rows of this run's files, and those passed over.
    pub(crate) rows: u64,
    pub(crate) rejected_rows: u64,
    /// Files that were there already, and so were not asked for.
    pub(crate) already: u64,
    /// By day and type.
    pub(crate) days: Vec<DaySummary>,
}

/// What became of the files of a day and a type.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct DaySummary {
    pub(crate) date: String,
    pub(crate) data_type: String,
    pub(crate) done: u64,
    /// Of those done, without a row.
    pub(crate) empty: u64,
    pub(crate) already: u64,
    pub(crate) missing: u64,
    pub(crate) failed: u64,
    pub(crate) rows: u64,
}

impl TablesSummary {
    fn text(&self) -> String {
        const SHOWN: usize = 20;
        let mut text = String::new();
        for day in self.days.iter().take(SHOWN) {
            let DaySummary { date, data_type, done, empty, already, missing, failed, rows } = day;
            text += &format!("{date} {data_type}: {done} done with {rows} rows");
            let counts = [(empty, "empty"), (already, "there already"), (missing, "missing"), (failed, "failed")];
            for (count, what) in counts.into_iter().filter(|(count, _)| **count > 0) {
                text += &format!(", {count} {what}");
            }
            text.push('\n');
        }
        if let Some(more) = self.days.len().checked_sub(SHOWN + 1) {
            text += &format!("and {} more days and types (--summary json)\n", more + 1);
        }
        if self.days.is_empty() && self.rows + self.already > 0 {
            text += &format!("{} rows, {} tables there already\n", self.rows, self.already);
        }
        if self.rejected_rows > 0 {
            text += &format!("{} rows passed over\n", self.rejected_rows);
        }
        text
    }
}

/// What was read and made of trades.
#[derive(Clone, Serialize)]
pub(crate) struct BarsSummary {
    /// Trades of this run's files.
    pub(crate) trades: u64,
    /// Bars of all thresholds.
    pub(crate) bars: u64,
    /// Gaps between trades, and the trades missing in them.
    pub(crate) gaps: u64,
    pub(crate) missing_trades: u64,
    /// Rows that were passed over, and trades that were put in order.
    pub(crate) rejected_rows: u64,
    pub(crate) reordered_trades: u64,
    /// Files that are not there.
    pub(crate) missing_files: Vec<String>,
    /// Files whose checksum is wrong, missing or unusable, and why.
    pub(crate) unproven_files: Vec<String>,
    /// The last file that is in the output.
    pub(crate) last_file: Option<String>,
    pub(crate) outputs: Vec<String>,
}

impl BarsSummary {
    fn text(&self) -> String {
        let Self { trades, bars, gaps, missing_trades, rejected_rows, reordered_trades, .. } = self;
        let mut text = format!("{trades} trades, {bars} bars");
        for (count, what) in [(rejected_rows, "rows passed over"), (reordered_trades, "trades put in order")] {
            if *count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        if *gaps > 0 {
            text += &format!(", {gaps} gaps with {missing_trades} trades missing");
        }
        for (files, what) in [(&self.missing_files, "missing"), (&self.unproven_files, "not as published")] {
            if let Some(first) = files.first() {
                text += &format!("\n{} files {what}, the first: {first}", files.len());
            }
        }
        if !self.outputs.is_empty() {
            text += &format!("\nin {}", self.outputs.join(", "));
        }
        text + "\n"
    }
}

/// What a guard of memory has seen and done.
#[derive(Clone, Serialize)]
pub(crate) struct Guarded {
    limit_bytes: u64,
    /// The largest part of the limit that was in use, from 0 to 1.
    part_peak: f64,
    level_peak: &'static str,
    shrunk: u64,
    grown: u64,
    paused: u64,
    evicted: u64,
}

impl From<GuardStats> for Guarded {
    fn from(stats: GuardStats) -> Self {
        let GuardStats { reading, part_peak, level_peak, shrunk, grown, paused, evicted, .. } = stats;
        Self { limit_bytes: reading.limit, part_peak, level_peak: level_peak.name(), shrunk, grown, paused, evicted }
    }
}

impl Summary {
    pub(crate) fn text(&self) -> String {
        let Self { done, failed, skipped, cancelled, entries, lines, .. } = self;
        let seconds = self.elapsed_ms as f64 / 1000.0;
        let rate = human((self.bytes_received as f64 / seconds.max(0.001)) as u64);
        let rss = self.peak_rss_bytes.map_or(String::new(), |rss| format!("; the process had {} at most", human(rss)));
        let guard = match &self.guard {
            Some(guard) if guard.shrunk + guard.paused > 0 => format!(
                "\nmemory ran short ({:.0} % of {} in use at most): smaller {} times, larger again {}, paused {}, {} sent back",
                guard.part_peak * 100.0,
                human(guard.limit_bytes),
                guard.shrunk,
                guard.grown,
                guard.paused,
                guard.evicted,
            ),
            _ => String::new(),
        };
        let bars = self.bars.as_ref().map_or(String::new(), BarsSummary::text);
        let tables = self.tables.as_ref().map_or(String::new(), TablesSummary::text);
        let already = match self.already {
            0 => String::new(),
            already => format!(", {already} done before (--exists overwrite fetches them anew)"),
        };
        format!(
            "{bars}{tables}{done} done, {failed} failed, {skipped} skipped, {cancelled} cancelled{already}\n\
             {} received, {} out, {entries} entries, {lines} lines, in {seconds:.1} s ({rate}/s)\n\
             {} of the budget's {} charged at most{rss}{guard}",
            human(self.bytes_received),
            human(self.bytes_out),
            human(self.peak_charged_bytes),
            human(self.budget_bytes),
        )
    }
}
