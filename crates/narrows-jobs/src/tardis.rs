//! Days of market data from Tardis: which files there are, where each goes, and whose turn it is.

use crate::calendar::Day;

/// The data asked for: every type of every symbol, day by day.
///
/// ```
/// use narrows_jobs::{calendar::day, tardis::Request};
///
/// let request = Request {
///     base: "https://datasets.tardis.dev".into(),
///     exchange: "deribit".into(),
///     types: vec!["trades".into(), "quotes".into()],
///     symbols: vec!["BTC-PERPETUAL".into()],
///     from: day("2024-01-31")?,
///     to: day("2024-02-01")?,
///     shard: None,
/// };
/// let files: Vec<_> = request.files().collect();
/// assert_eq!(files.len(), 4);
/// assert_eq!(files[1].url, "https://datasets.tardis.dev/v1/deribit/quotes/2024/01/31/BTC-PERPETUAL.csv.gz");
/// assert_eq!(files[1].path("parquet"), "exchange=deribit/data_type=quotes/date=2024-01-31/BTC-PERPETUAL.parquet");
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// Scheme and host, and what comes before `/v1`.
    pub base: String,
    /// The exchange, as Tardis writes it.
    pub exchange: String,
    /// The types of data.
    pub types: Vec<String>,
    /// The symbols.
    pub symbols: Vec<String>,
    /// The first day.
    pub from: Day,
    /// The last day, inclusive.
    pub to: Day,
    /// Of so many shards, only this one, from 0: symbols that [`shard_of`] gives it.
    pub shard: Option<(u32, u32)>,
}

/// A file of a day.
///
/// No example: [`Request`] gives some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DayFile {
    /// Its address.
    pub url: String,
    /// The exchange.
    pub exchange: String,
    /// The type of data.
    pub data_type: String,
    /// The day.
    pub day: Day,
    /// The symbol.
    pub symbol: String,
}

impl Request {
    /// The files, day by day, then type by type, then symbol by symbol.
    pub fn files(&self) -> impl Iterator<Item = DayFile> + Send + 'static {
        let Self { base, exchange, types, symbols, from, to, shard } = self.clone();
        let base = base.trim_end_matches('/').to_owned();
        let mine = move |symbol: &String| shard.is_none_or(|(at, of)| shard_of(&exchange, symbol, of) == at);
        let exchange = self.exchange.clone();
        let symbols: Vec<String> = symbols.into_iter().filter(mine).collect();
        from.to(to).flat_map(move |day| {
            let (base, exchange, symbols) = (base.clone(), exchange.clone(), symbols.clone());
            types.clone().into_iter().flat_map(move |data_type| {
                let (base, exchange) = (base.clone(), exchange.clone());
                symbols.clone().into_iter().map(move |symbol| {
                    let Day { year, month, day: of_month } = day;
                    let date = format!("{year:04}/{month:02}/{of_month:02}");
                    let url = format!("{base}/v1/{exchange}/{data_type}/{date}/{symbol}.csv.gz");
                    let (exchange, data_type) = (exchange.clone(), data_type.clone());
                    DayFile { url, exchange, data_type, day, symbol }
                })
            })
        })
    }
}

impl DayFile {
    /// Where its table goes, below the output: parts that query engines read as columns. Its name ends with
    /// `extension`.
    pub fn path(&self, extension: &str) -> String {
        let Self { exchange, data_type, day, symbol, .. } = self;
        format!("exchange={exchange}/data_type={data_type}/date={day}/{symbol}.{extension}")
    }

    /// The day file whose [`path`](Self::path) is this, whatever its extension; but for its address.
    pub fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let exchange = parts.next()?.strip_prefix("exchange=")?.to_owned();
        let data_type = parts.next()?.strip_prefix("data_type=")?.to_owned();
        let day = crate::calendar::day(parts.next()?.strip_prefix("date=")?).ok()?;
        let symbol = parts.next()?.rsplit_once('.')?.0.to_owned();
        parts.next().is_none().then_some(Self { url: String::new(), exchange, data_type, day, symbol })
    }
}

/// Which of so many shards a symbol belongs to: the same on every machine and in every version (FNV-1a of
/// 64 bits over exchange, a colon and symbol).
///
/// ```
/// use narrows_jobs::tardis::shard_of;
///
/// assert_eq!(shard_of("deribit", "BTC-PERPETUAL", 30), shard_of("deribit", "BTC-PERPETUAL", 30));
/// ```
pub fn shard_of(exchange: &str, symbol: &str, shards: u32) -> u32 {
    let bytes = exchange.bytes().chain([b':']).chain(symbol.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash % u64::from(shards.max(1))) as u32
}

/// Whether a symbol stands for a group of instruments, whose rows have symbols of their own.
///
/// ```
/// assert!(narrows_jobs::tardis::is_group("OPTIONS"));
/// ```
pub fn is_group(symbol: &str) -> bool {
    ["SPOT", "FUTURES", "PERPETUALS", "OPTIONS", "COMBOS"].contains(&symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day;

    #[test]
    fn shards_are_disjoint_complete_and_stable() {
        let symbols: Vec<String> = (0..1000).map(|number| format!("COIN{number}-PERPETUAL")).collect();
        let base = Request {
            base: "http://h".into(),
            exchange: "deribit".into(),
            types: vec!["trades".into()],
            symbols: symbols.clone(),
            from: day("2024-01-01").unwrap(),
            to: day("2024-01-01").unwrap(),
            shard: None,
        };
        let of = |shard| Request { shard, ..base.clone() }.files().map(|file| file.symbol).collect::<Vec<_>>();
        let mut all: Vec<String> = (0..30).flat_map(|at| of(Some((at, 30)))).collect();
        assert!((0..30).all(|at| (10..70).contains(&of(Some((at, 30))).len())));
        all.sort();
        let mut expected = symbols;
        expected.sort();
        assert_eq!(all, expected);
        assert_eq!([shard_of("deribit", "BTC-PERPETUAL", 30), shard_of("binance", "btcusdt", 7)], [20, 1]);
    }

    #[test]
    fn a_path_says_what_is_in_it() {
        let path = "exchange=binance/data_type=quotes/date=2024-02-29/btcusdt.parquet";
        assert_eq!(DayFile::of_path(path).unwrap().path("parquet"), path);
        assert_eq!(DayFile::of_path("exchange=a/data_type=b/date=2024-02-30/c.parquet"), None);
        assert_eq!(DayFile::of_path(&format!("{path}/x")), None);
    }
}
