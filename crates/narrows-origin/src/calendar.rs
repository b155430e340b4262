//! Days, and the names of GDELT's files on them.

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Day {
    /// The year.
    pub year: u32,
    /// The month, from 1.
    pub month: u32,
    /// The day of the month, from 1.
    pub day: u32,
}

impl Day {
    /// The day after.
    pub fn next(self) -> Self {
        let Self { year, month, day } = self;
        if day < days_in(year, month) {
            Self { day: day + 1, ..self }
        } else if month < 12 {
            Self { year, month: month + 1, day: 1 }
        } else {
            Self { year: year + 1, month: 1, day: 1 }
        }
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads a day of the form `2026-01-31`.
///
/// # Errors
///
/// What is wrong with the text.
pub fn day(text: &str) -> Result<Day, String> {
    let bad = || format!("{text:?} is no day of the form 2026-01-31");
    let parts: Vec<u32> = text.split('-').map(|part| part.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
    match parts[..] {
        [year @ 1979..=9999, month @ 1..=12, day] if (1..=days_in(year, month)).contains(&day) => {
            Ok(Day { year, month, day })
        }
        _ => Err(bad()),
    }
}

/// Slots of 15 minutes in a day.
pub const SLOTS: u32 = 96;

/// The file's name for a slot, as GDELT has it: note the case.
pub fn slot_name(day: Day, slot: u32, table: &str) -> String {
    let Day { year, month, day } = day;
    format!("{year:04}{month:02}{day:02}{:02}{:02}00.{table}.zip", slot / 4, slot % 4 * 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_parsed_or_refused() {
        assert!(day("2026-02-29").is_err() && day("2024-02-29").is_ok() && day("2026-1").is_err());
        assert_eq!(day("2025-12-31").unwrap().next(), day("2026-01-01").unwrap());
    }

    #[test]
    fn slots_are_named_as_published() {
        let day = Day { year: 2026, month: 4, day: 3 };
        assert_eq!(slot_name(day, 40, "export.CSV"), "20260403100000.export.CSV.zip");
        assert_eq!(slot_name(day, 95, "translation.gkg.csv"), "20260403234500.translation.gkg.csv.zip");
    }
}
