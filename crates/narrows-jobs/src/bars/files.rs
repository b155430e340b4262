//! Where Binance publishes aggregate trades, file by file.

use std::{fmt, str::FromStr};

use crate::calendar::Day;

/// A market, and the folder of its files.
///
/// ```
/// use narrows_jobs::bars::Market;
///
/// assert_eq!("um".parse(), Ok(Market::UsdMargined));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Market {
    /// Spot.
    Spot,
    /// Futures margined in US dollars.
    UsdMargined,
    /// Futures margined in coins.
    CoinMargined,
}

impl Market {
    fn folder(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::UsdMargined => "futures/um",
            Self::CoinMargined => "futures/cm",
        }
    }
}

impl FromStr for Market {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "spot" => Ok(Self::Spot),
            "um" => Ok(Self::UsdMargined),
            "cm" => Ok(Self::CoinMargined),
            _ => Err(format!("{text:?} is none of spot, um and cm")),
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spot => "spot",
            Self::UsdMargined => "um",
            Self::CoinMargined => "cm",
        })
    }
}

/// What one file has the trades of.
///
/// No example: [`Files`] has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    /// A day.
    Day,
    /// A month. Where only a part of one is asked for, its days are taken.
    Month,
}

/// A file of trades.
///
/// No example: [`Files`] gives some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct File {
    /// Its address.
    pub url: String,
    /// Its name, without folders.
    pub name: String,
}

impl File {
    /// The file at an address.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Self { url, name }
    }

    /// Where its checksum is: beside it, with `.CHECKSUM` behind its name.
    pub fn checksum_url(&self) -> String {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        format!("{}.CHECKSUM{}", &self.url[..end], &self.url[end..])
    }
}

/// The files of a symbol from one day to another, in order.
///
/// ```
/// use narrows_jobs::{bars::{Files, Market, Period}, calendar::day};
///
/// let files = Files {
///     base: "https://data.binance.vision".into(),
///     market: Market::Spot,
///     symbol: "BTCUSDT".into(),
///     from: day("2024-01-01")?,
///     to: day("2024-02-02")?,
///     period: Period::Month,
/// };
/// let names: Vec<_> = files.iter().map(|file| file.name).collect();
/// assert_eq!(names[0], "BTCUSDT-aggTrades-2024-01.zip");
/// assert_eq!(names[1..], ["BTCUSDT-aggTrades-2024-02-01.zip", "BTCUSDT-aggTrades-2024-02-02.zip"]);
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    /// Scheme, host, and what comes before `/data`.
    pub base: String,
    /// The market.
    pub market: Market,
    /// The symbol, as the exchange writes it.
    pub symbol: String,
    /// The first day.
    pub from: Day,
    /// The last day, inclusive.
    pub to: Day,
    /// What one file has the trades of, where there is a choice.
    pub period: Period,
}

impl Files {
    /// The files, in order.
    pub fn iter(&self) -> impl Iterator<Item = File> + Clone + Send + 'static {
        let Self { base, market, symbol, from, to, period } = self.clone();
        let base = base.trim_end_matches('/').to_owned();
        let is_whole = move |day: Day| period == Period::Month && day.end_of_month() <= to;
        // In a month that is taken whole, its first day stands for it.
        let takes_month = move |day: Day| is_whole(day) && Day { day: 1, ..day } >= from;
        from.to(to).filter(move |day| !takes_month(*day) || day.day == 1).map(move |day| {
            let (folder, mut date) = (market.folder(), day.to_string());
            let length = if takes_month(day) { "monthly" } else { "daily" };
            if takes_month(day) {
                date.truncate(7);
            }
            let name = format!("{symbol}-aggTrades-{date}.zip");
            File { url: format!("{base}/data/{folder}/{length}/aggTrades/{symbol}/{name}"), name }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day;

    #[test]
    fn months_are_taken_whole_where_they_are_asked_for_whole() {
        let (from, to) = (day("2023-12-30").unwrap(), day("2024-03-01").unwrap());
        let (base, symbol) = ("http://h/".to_owned(), "ETHUSDT".to_owned());
        let files = Files { base, market: Market::CoinMargined, symbol, from, to, period: Period::Month };
        let dates: Vec<String> = files.iter().map(|file| file.name.replace("ETHUSDT-aggTrades-", "")).collect();
        assert_eq!(dates, ["2023-12-30.zip", "2023-12-31.zip", "2024-01.zip", "2024-02.zip", "2024-03-01.zip"]);
        let urls: Vec<String> = files.iter().map(|file| file.url).collect();
        assert_eq!(urls[2], "http://h/data/futures/cm/monthly/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2024-01.zip");
        assert_eq!(urls[4], "http://h/data/futures/cm/daily/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2024-03-01.zip");
        assert_eq!(Files { period: Period::Day, ..files }.iter().count(), 63);
    }

    #[test]
    fn a_checksum_lies_beside_its_file() {
        let file = File::new("http://h/a/b.zip?key=1");
        assert_eq!((&*file.name, &*file.checksum_url()), ("b.zip", "http://h/a/b.zip.CHECKSUM?key=1"));
    }
}
