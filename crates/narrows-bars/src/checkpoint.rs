//! A bar in the making as a small value, from which bars go on elsewhere, bit for bit.

use std::{error::Error, fmt, str::FromStr};

use crate::{
    bar::Bar,
    json::{Object, fields},
    threshold::Threshold,
};

const VERSION: &str = "1";

/// What bars go on from: their width, and the bar in the making.
///
/// As text it is an object of JSON, whose numbers may have more digits than a float can hold.
///
/// ```
/// use narrows_bars::{Checkpoint, RangeBars, Threshold};
///
/// let bars = RangeBars::new(Threshold::new(250)?, true);
/// let text = bars.checkpoint().to_string();
/// assert_eq!(text, r#"{"narrows_bars":1,"threshold_dbps":250,"gate":true}"#);
/// assert_eq!(RangeBars::resume(&text.parse()?), bars);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The width of bars.
    pub threshold: Threshold,
    /// Whether none ends at the time at which it began.
    pub gate: bool,
    /// The bar in the making.
    pub bar: Option<Bar>,
}

/// Text that is no checkpoint.
///
/// ```
/// let error = "{}".parse::<narrows_bars::Checkpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "not a checkpoint of bars: \"narrows_bars\" is missing");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadCheckpoint(String);

impl fmt::Display for BadCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a checkpoint of bars: {}", self.0)
    }
}

impl Error for BadCheckpoint {}

/// The fields of a bar, each with its name, for both directions.
macro_rules! bar_fields {
    ($with:ident) => {
        $with!(
            open_time_us,
            close_time_us,
            open,
            high,
            low,
            close,
            volume,
            turnover,
            buy_volume,
            sell_volume,
            buy_turnover,
            sell_turnover,
            first_trade_id,
            last_trade_id,
            first_agg_trade_id,
            last_agg_trade_id,
            individual_trade_count,
            agg_record_count,
            buy_trade_count,
            sell_trade_count,
            vwap
        )
    };
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = Object::new()
            .field("narrows_bars", VERSION)
            .field("threshold_dbps", self.threshold.dbps())
            .field("gate", self.gate);
        if let Some(bar) = &self.bar {
            macro_rules! write_fields {
                ($($name:ident),*) => { $(object = object.field(stringify!($name), bar.$name);)* };
            }
            bar_fields!(write_fields);
        }
        f.write_str(&object.end())
    }
}

impl FromStr for Checkpoint {
    type Err = BadCheckpoint;

    fn from_str(text: &str) -> Result<Self, BadCheckpoint> {
        let fields = fields(text).ok_or_else(|| BadCheckpoint("no object of numbers".into()))?;
        let text = |name: &str| {
            let found = fields.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
            found.ok_or_else(|| BadCheckpoint(format!("\"{name}\" is missing")))
        };
        let version = text("narrows_bars")?;
        if version != VERSION {
            return Err(BadCheckpoint(format!("its version is {version}, this program reads {VERSION}")));
        }
        fn value<T: FromStr>(name: &str, text: &str) -> Result<T, BadCheckpoint> {
            text.parse().map_err(|_| BadCheckpoint(format!("\"{name}\" is {text}")))
        }
        let dbps = value("threshold_dbps", text("threshold_dbps")?)?;
        let threshold = Threshold::new(dbps).map_err(|error| BadCheckpoint(error.to_string()))?;
        let gate = value("gate", text("gate")?)?;
        if text("open").is_err() {
            return Ok(Self { threshold, gate, bar: None });
        }
        macro_rules! read_fields {
            ($($name:ident),*) => { Bar { $($name: value(stringify!($name), text(stringify!($name))?)?),* } };
        }
        let bar: Bar = bar_fields!(read_fields);
        let is_sound = bar.low <= bar.open.min(bar.close)
            && bar.high >= bar.open.max(bar.close)
            && bar.low > 0
            && bar.agg_record_count > 0
            && bar.volume >= 0
            && bar.turnover >= 0
            && Some(bar.volume) == bar.buy_volume.checked_add(bar.sell_volume)
            && Some(bar.turnover) == bar.buy_turnover.checked_add(bar.sell_turnover);
        match is_sound {
            true => Ok(Self { threshold, gate, bar: Some(bar) }),
            false => Err(BadCheckpoint("its bar contradicts itself".into())),
        }
    }
}
