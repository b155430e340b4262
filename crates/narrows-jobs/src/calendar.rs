//! Days and months.

use std::fmt;

/// A day of the Gregorian calendar.
///
/// ```
/// use narrows_jobs::calendar::day;
///
/// let first = day("2024-02-28")?;
/// assert_eq!(first.next().to_string(), "2024-02-29");
/// assert_eq!(first.to(first.next()).count(), 2);
/// # Ok::<_, String>(())
/// ```
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

    /// All days from this one to the last, inclusive. None if the last is before.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> + Clone + Send {
        std::iter::successors(Some(self), |day| Some(day.next())).take_while(move |day| *day <= last)
    }

    /// The last day of its month.
    #[must_use]
    pub fn end_of_month(self) -> Self {
        Self { day: days_in(self.year, self.month), ..self }
    }

    /// The day so many days after the first of January 1970.
    ///
    /// ```
    /// use narrows_jobs::calendar::{Day, day};
    ///
    /// assert_eq!(Day::after_1970(20_513), day("2026-03-01").unwrap());
    /// ```
    pub fn after_1970(mut days: u32) -> Self {
        let (mut year, mut month) = (1970, 1);
        let year_of = |year| if days_in(year, 2) == 29 { 366 } else { 365 };
        while days >= year_of(year) {
            days -= year_of(year);
            year += 1;
        }
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        Self { year, month, day: days + 1 }
    }

    /// Days since the first of January 1970; days before are none.
    pub fn since_1970(self) -> u32 {
        let before = |year: u32| year * 365 + year / 4 - year / 100 + year / 400;
        let years = before(self.year - 1).saturating_sub(before(1969));
        years + (1..self.month).map(|month| days_in(self.year, month)).sum::<u32>() + self.day - 1
    }
}

/// As `2026-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
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
/// ```
/// assert!(narrows_jobs::calendar::day("2026-02-30").is_err());
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_parsed_or_refused() {
        assert!(day("2026-02-29").is_err() && day("2024-02-29").is_ok() && day("2026-1").is_err());
        assert_eq!(day("2025-12-31").unwrap().next(), day("2026-01-01").unwrap());
    }

    #[test]
    fn days_are_counted_across_leap_years() {
        let since = |text| day(text).unwrap().since_1970();
        assert_eq!([since("1979-01-01"), since("2000-03-01"), since("2024-08-08")], [3287, 11017, 19943]);
        let (first, last) = (day("2023-12-30").unwrap(), day("2024-03-02").unwrap());
        assert_eq!(first.to(last).count() as u32, last.since_1970() - first.since_1970() + 1);
        assert_eq!(last.to(first).count(), 0);
        assert!(first.to(last).all(|day| Day::after_1970(day.since_1970()) == day));
        assert_eq!(day("2024-02-03").unwrap().end_of_month().to_string(), "2024-02-29");
    }
}
