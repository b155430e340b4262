//! Where bars go on.

use std::{error::Error, fmt, str::FromStr};

use narrows_bars::{BadCheckpoint, Checkpoint};

/// What a run goes on from: the last trade, and the bars in the making, one for each threshold.
///
/// As text it is lines: the last trade's time and number, then a checkpoint each.
///
/// ```
/// use narrows_bars::{RangeBars, Threshold};
/// use narrows_jobs::bars::State;
///
/// let bars = RangeBars::new(Threshold::new(250)?, true);
/// let state = State { last: Some((1_700_000_000_000_000, 42)), bars: vec![bars.checkpoint()] };
/// assert_eq!(state.to_string().parse::<State>()?, state);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Time (microseconds since 1970) and number of the last trade; none before the first.
    pub last: Option<(i64, i64)>,
    /// Bars in the making.
    pub bars: Vec<Checkpoint>,
}

/// Text that is no state.
///
/// No example: that of [`State`] reads one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadState(String);

impl fmt::Display for BadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadState {}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some((time, id)) => write!(f, "{time} {id}")?,
            None => f.write_str("none")?,
        }
        self.bars.iter().try_for_each(|bars| write!(f, "\n{bars}"))
    }
}

impl FromStr for State {
    type Err = BadState;

    fn from_str(text: &str) -> Result<Self, BadState> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let last = match first.split_once(' ') {
            None if first == "none" => None,
            pair => {
                let pair = pair.and_then(|(time, id)| Some((time.parse().ok()?, id.parse().ok()?)));
                Some(pair.ok_or_else(|| BadState(format!("{first:?} is no time and number of a trade")))?)
            }
        };
        let bars = lines.map(str::parse).collect::<Result<_, BadCheckpoint>>();
        Ok(Self { last, bars: bars.map_err(|error| BadState(error.to_string()))? })
    }
}
