//! Files of GDELT (`data.gdeltproject.org`): which there are for some days, and what is in them.

use crate::calendar::Day;

/// Which of the two.
///
/// No example: that of [`files`] takes one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edition {
    /// 1.0: a file a day, from 1979 on; of what is older than April 2013, a file a month or a year.
    One,
    /// 2.0: a file every 15 minutes, from February 2015 on.
    Two,
}

/// What files hold.
///
/// No example: that of [`files`] takes one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// Events.
    Export,
    /// Where events were mentioned; of 2.0 only.
    Mentions,
    /// The Global Knowledge Graph.
    Gkg,
    /// Its counts; of 1.0 only.
    GkgCounts,
}

impl Content {
    /// What it is called in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Mentions => "mentions",
            Self::Gkg => "gkg",
            Self::GkgCounts => "gkg_counts",
        }
    }

    /// Its name in files of 2.0.
    pub fn of_slots(self, translation: bool) -> Option<&'static str> {
        Some(match (self, translation) {
            (Self::Export, false) => "export.CSV",
            (Self::Mentions, false) => "mentions.CSV",
            (Self::Gkg, false) => "gkg.csv",
            (Self::Export, true) => "translation.export.CSV",
            (Self::Mentions, true) => "translation.mentions.CSV",
            (Self::Gkg, true) => "translation.gkg.csv",
            (Self::GkgCounts, _) => return None,
        })
    }
}

/// The first day whose events are in a file of their own; those of the months before are in one a month.
const DAILY_FROM: Day = Day { year: 2013, month: 4, day: 1 };
/// The first year whose events are in files of months; those of the years before are in one a year.
const MONTHLY_FROM: u32 = 2006;

/// Slots of 15 minutes in a day.
///
/// No example: it is a number.
pub const SLOTS: u32 = 96;

/// The file's name for a slot, as GDELT has it: note the case.
///
/// ```
/// use narrows_jobs::{calendar::day, gdelt::slot_name};
///
/// assert_eq!(slot_name(day("2026-04-03")?, 40, "export.CSV"), "20260403100000.export.CSV.zip");
/// # Ok::<_, String>(())
/// ```
pub fn slot_name(day: Day, slot: u32, table: &str) -> String {
    let Day { year, month, day } = day;
    format!("{year:04}{month:02}{day:02}{:02}{:02}00.{table}.zip", slot / 4, slot % 4 * 15)
}

/// The files of some days, below their base, in order. `None` if the edition has no such files.
///
/// A file of a month or a year is there for any of its days, whole.
///
/// ```
/// use narrows_jobs::{calendar::day, gdelt::{Content, Edition, files}};
///
/// let of = |edition, content, from, to| -> Option<Vec<String>> {
///     files(edition, content, false, day(from).ok()?, day(to).ok()?).map(Iterator::collect)
/// };
/// let slots = of(Edition::Two, Content::Gkg, "2026-01-01", "2026-01-01").expect("there are some");
/// assert_eq!((slots.len(), &*slots[1]), (96, "20260101001500.gkg.csv.zip"));
/// let events = of(Edition::One, Content::Export, "2013-03-30", "2013-04-02").expect("there are some");
/// assert_eq!(events, ["events/201303.zip", "events/20130401.export.CSV.zip", "events/20130402.export.CSV.zip"]);
/// assert_eq!(of(Edition::One, Content::Mentions, "2020-01-01", "2020-01-01"), None);
/// ```
pub fn files(
    edition: Edition,
    content: Content,
    translation: bool,
    from: Day,
    to: Day,
) -> Option<Box<dyn Iterator<Item = String> + Send>> {
    let days = from.to(to);
    match edition {
        Edition::Two => {
            let table = content.of_slots(translation)?;
            Some(Box::new(days.flat_map(move |day| (0..SLOTS).map(move |slot| slot_name(day, slot, table)))))
        }
        Edition::One if translation || content == Content::Mentions => None,
        Edition::One => {
            let mut before = String::new();
            Some(Box::new(days.map(move |day| of_day(content, day)).filter(move |name| {
                let is_new = *name != before;
                before.clone_from(name);
                is_new
            })))
        }
    }
}

/// The file of 1.0 that a day is in.
fn of_day(content: Content, day: Day) -> String {
    let Day { year, month, day: of_month } = day;
    match content {
        Content::Gkg => format!("gkg/{year:04}{month:02}{of_month:02}.gkg.csv.zip"),
        Content::GkgCounts => format!("gkg/{year:04}{month:02}{of_month:02}.gkgcounts.csv.zip"),
        _ if day >= DAILY_FROM => format!("events/{year:04}{month:02}{of_month:02}.export.CSV.zip"),
        _ if year >= MONTHLY_FROM => format!("events/{year:04}{month:02}.zip"),
        _ => format!("events/{year:04}.zip"),
    }
}

/// The tables that files of an edition may be, as [`table_of`] names them.
///
/// ```
/// use narrows_jobs::gdelt::{Content, Edition, tables};
///
/// assert_eq!(tables(Edition::One, Content::Export), ["export_v1", "export_v1_url"]);
/// ```
pub fn tables(edition: Edition, content: Content) -> &'static [&'static str] {
    match (edition, content) {
        (Edition::One, Content::Export) => &["export_v1", "export_v1_url"],
        (Edition::Two, Content::Export) => &["export"],
        (Edition::One, Content::Gkg) => &["gkg_v1"],
        (Edition::Two, Content::Gkg) => &["gkg"],
        (_, Content::Mentions) => &["mentions"],
        (_, Content::GkgCounts) => &["gkg_v1_counts"],
    }
}

/// What the rows of a file are, by its name: a table of `narrows_tables::gdelt`.
///
/// ```
/// use narrows_jobs::gdelt::{Content, table_of};
///
/// let of = |content, name| table_of(content, name);
/// assert_eq!(of(Content::Export, "20260101001500.export.CSV.zip"), "export");
/// assert_eq!([of(Content::Export, "20130401.export.CSV.zip"), of(Content::Export, "201303.zip")], ["export_v1_url", "export_v1"]);
/// ```
pub fn table_of(content: Content, name: &str) -> &'static str {
    let digits = stamp_of(name).len();
    match (content, digits) {
        (Content::Export, ..=7) => "export_v1",
        (Content::Export, ..=13) => "export_v1_url",
        (Content::Export, _) => "export",
        (Content::Mentions, _) => "mentions",
        (Content::Gkg, ..=13) => "gkg_v1",
        (Content::Gkg, _) => "gkg",
        (Content::GkgCounts, _) => "gkg_v1_counts",
    }
}

/// Where the table of a file goes, below the output, but for its extension.
///
/// ```
/// use narrows_jobs::gdelt::{Content, table_path};
///
/// let path = table_path(Content::Export, "20260101001500.translation.export.CSV.zip");
/// assert_eq!(path, "data_type=export/date=2026-01-01/20260101001500.translation");
/// assert_eq!(table_path(Content::Export, "201303.zip"), "data_type=export/date=2013-03/201303");
/// ```
pub fn table_path(content: Content, name: &str) -> String {
    let stamp = stamp_of(name);
    let date = match stamp.len() {
        4 => stamp.to_owned(),
        6 => format!("{}-{}", &stamp[..4], &stamp[4..]),
        8.. => format!("{}-{}-{}", &stamp[..4], &stamp[4..6], &stamp[6..8]),
        _ => "unknown".into(),
    };
    let rest = if stamp.is_empty() { name.trim_end_matches(".zip") } else { stamp };
    let translation = if name.contains(".translation.") { ".translation" } else { "" };
    format!("data_type={}/date={date}/{rest}{translation}", content.name())
}

/// The digits that a name begins with.
fn stamp_of(name: &str) -> &str {
    &name[..name.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day;

    #[test]
    fn files_of_months_and_years_are_there_once() {
        let of = |from, to| {
            let (from, to) = (day(from).unwrap(), day(to).unwrap());
            files(Edition::One, Content::Export, false, from, to).unwrap().collect::<Vec<_>>()
        };
        let names = of("2004-12-30", "2006-02-02");
        assert_eq!(names, ["events/2004.zip", "events/2005.zip", "events/200601.zip", "events/200602.zip"]);
        assert_eq!(of("2013-04-01", "2013-04-30").len(), 30);
        let counts = files(Edition::One, Content::GkgCounts, false, DAILY_FROM, DAILY_FROM).unwrap();
        assert_eq!(counts.collect::<Vec<_>>(), ["gkg/20130401.gkgcounts.csv.zip"]);
        assert!(files(Edition::One, Content::Export, true, DAILY_FROM, DAILY_FROM).is_none());
        assert!(files(Edition::Two, Content::GkgCounts, false, DAILY_FROM, DAILY_FROM).is_none());
    }

    #[test]
    fn strange_names_have_a_place() {
        assert_eq!(table_path(Content::Gkg, "notes.csv.zip"), "data_type=gkg/date=unknown/notes.csv");
        assert_eq!(table_of(Content::Gkg, "notes.csv.zip"), "gkg_v1");
    }

    #[test]
    fn slots_are_named_as_published() {
        let day = Day { year: 2026, month: 4, day: 3 };
        assert_eq!(slot_name(day, 40, "export.CSV"), "20260403100000.export.CSV.zip");
        assert_eq!(slot_name(day, 95, "translation.gkg.csv"), "20260403234500.translation.gkg.csv.zip");
    }
}
