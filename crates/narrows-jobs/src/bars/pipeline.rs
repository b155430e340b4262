//! Blocks of text to bars: rows, their order, gaps, and what is done about each.

use std::{error::Error, fmt};

use narrows_bars::{AggTrades, BadRow, Bar, BarError, Gap, RangeBars, Reorder, Row, Sequence, Threshold, Trade};

use super::state::State;

/// What a row means that is no trade, or that is out of order.
///
/// No example: [`Rules`] has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnBadRow {
    /// The run ends.
    #[default]
    Fail,
    /// It is passed over, counted, and handed to the sink.
    Skip,
}

/// What a gap between two trades means.
///
/// No example: [`Rules`] has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnGap {
    /// It is counted, and handed to the sink.
    #[default]
    Report,
    /// Bars in the making end before it, too, so that none reaches over it.
    EndBar,
    /// The run ends.
    Fail,
}

/// How bars are made.
///
/// ```
/// use narrows_bars::Threshold;
/// use narrows_jobs::bars::{Pipeline, Rules};
///
/// let rules = Rules::new(vec![Threshold::new(250)?]);
/// let mut text = String::new();
/// let mut pipeline = Pipeline::new(rules);
/// let mut sink = |_: usize, bar: &narrows_bars::Bar| narrows_bars::csv::write(&mut text, bar);
/// pipeline.take(b"1,100,1,1,1,1000,true\n2,101,1,2,2,2000,true\n", &mut sink)?;
/// pipeline.end(&mut sink)?; // of the file
/// assert_eq!((pipeline.counts().trades, text.lines().count()), (2, 1));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// The widths of bars; each has its own bars. In order.
    pub thresholds: Vec<Threshold>,
    /// Whether no bar ends at the time at which it began. Default true.
    pub gate: bool,
    /// Trades that are at most so many places late are put in order, within a file. Default 1,000.
    pub reorder: usize,
    /// Silence for longer is a gap, in microseconds. Default: none is.
    pub silence_max_us: Option<i64>,
    /// What a row means that is no trade. Default: the run ends.
    pub on_bad_row: OnBadRow,
    /// What a gap means. Default: it is reported.
    pub on_gap: OnGap,
}

impl Rules {
    /// The defaults, for bars of these widths.
    pub fn new(thresholds: Vec<Threshold>) -> Self {
        let (on_bad_row, on_gap) = (OnBadRow::default(), OnGap::default());
        Self { thresholds, gate: true, reorder: 1000, silence_max_us: None, on_bad_row, on_gap }
    }
}

/// Takes bars. A closure over a threshold's place in [`Rules::thresholds`] and a bar is one, with nothing
/// to commit.
///
/// No example: that of [`Rules`] has a closure.
pub trait BarSink {
    /// Why it could not take one.
    type Error;

    /// A bar of the threshold at this place.
    ///
    /// # Errors
    ///
    /// Its own, which end the run.
    fn bar(&mut self, threshold: usize, bar: &Bar) -> Result<(), Self::Error>;

    /// A row that was passed over: what is wrong with it, and its bytes.
    ///
    /// # Errors
    ///
    /// Its own, which end the run.
    fn rejected(&mut self, _why: &BarError, _row: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }

    /// A gap between two trades.
    ///
    /// # Errors
    ///
    /// Its own, which end the run.
    fn gap(&mut self, _gap: &Gap) -> Result<(), Self::Error> {
        Ok(())
    }

    /// A file has been read to its end and holds. What came of it is to be durable, with the state
    /// behind it.
    ///
    /// # Errors
    ///
    /// Its own, which end the run.
    fn commit(&mut self, _done: &Done<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// What came since the last commit does not count.
    ///
    /// # Errors
    ///
    /// Its own, which end the run.
    fn roll_back(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<E, T: FnMut(usize, &Bar) -> Result<(), E>> BarSink for T {
    type Error = E;

    fn bar(&mut self, threshold: usize, bar: &Bar) -> Result<(), E> {
        self(threshold, bar)
    }
}

/// A file that has been read to its end.
///
/// No example: a [`BarSink`] is given it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done<'a> {
    /// Its name.
    pub file: &'a str,
    /// Its place in the window's list, from 0.
    pub index: u64,
    /// Trades it had.
    pub trades: u64,
    /// What a run goes on from behind it.
    pub state: &'a State,
}

/// Why there are no more bars.
///
/// No example: that of [`Rules`] hands one on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Broken<E> {
    /// The trades are at fault.
    Trades(BarError),
    /// There is a gap, and there was to be none.
    Gap(Gap),
    /// The sink failed.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for Broken<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trades(error) => error.fmt(f),
            Self::Gap(Gap { missing, after, before, silence_us, .. }) => {
                let seconds = *silence_us as f64 / 1e6;
                write!(f, "a gap of {missing} aggregate trades and {seconds} s between {after} and {before}")
            }
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for Broken<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Sink(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> From<BarError> for Broken<E> {
    fn from(error: BarError) -> Self {
        Self::Trades(error)
    }
}

/// What has been read and made so far.
///
/// No example: [`Pipeline::counts`] gives it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Trades.
    pub trades: u64,
    /// Bars, of all thresholds.
    pub bars: u64,
    /// Rows that were passed over.
    pub rejected: u64,
    /// Trades that were put in order.
    pub reordered: u64,
    /// Gaps between trades.
    pub gaps: u64,
    /// Aggregate trades missing in them.
    pub missing_trades: u64,
}

/// Makes bars of blocks of text. Its memory: a kilobyte for each threshold, 56 bytes a trade of
/// [`Rules::reorder`], and a row.
///
/// No example: that of [`Rules`] has one.
#[derive(Clone, Debug)]
pub struct Pipeline {
    rules: Rules,
    rows: AggTrades,
    reorder: Reorder,
    made: Made,
}

/// What trades come to once they are in order.
#[derive(Clone, Debug)]
struct Made {
    sequence: Sequence,
    bars: Vec<RangeBars>,
    counts: Counts,
}

impl Pipeline {
    /// One at the beginning: no trade has come.
    pub fn new(rules: Rules) -> Self {
        let bars = rules.thresholds.iter().map(|threshold| RangeBars::new(*threshold, rules.gate)).collect();
        Self::with(rules, None, bars)
    }

    /// One that goes on from a state. `None` if that is of other thresholds or of another gate.
    pub fn resume(rules: Rules, state: &State) -> Option<Self> {
        let same = state.bars.iter().map(|bars| (bars.threshold, bars.gate));
        if !same.eq(rules.thresholds.iter().map(|threshold| (*threshold, rules.gate))) {
            return None;
        }
        let bars = state.bars.iter().map(RangeBars::resume).collect();
        Some(Self::with(rules, state.last, bars))
    }

    fn with(rules: Rules, last: Option<(i64, i64)>, bars: Vec<RangeBars>) -> Self {
        let sequence = Sequence::after(last, rules.silence_max_us);
        let reorder = Reorder::new(rules.reorder);
        Self { rules, rows: AggTrades::new(), reorder, made: Made { sequence, bars, counts: Counts::default() } }
    }

    /// What a run goes on from, after the end of a file.
    pub fn state(&self) -> State {
        let bars = self.made.bars.iter().map(RangeBars::checkpoint).collect();
        State { last: self.made.sequence.last(), bars }
    }

    /// What has been read and made so far.
    pub fn counts(&self) -> Counts {
        Counts { reordered: self.reorder.moved(), ..self.made.counts }
    }

    /// A file begins.
    pub fn begin(&mut self) {
        self.rows = AggTrades::new();
    }

    /// Takes a block of the file.
    ///
    /// # Errors
    ///
    /// [`Broken`], after which nothing more is to be taken: go on from an earlier clone or state.
    pub fn take<K: BarSink>(&mut self, block: &[u8], sink: &mut K) -> Result<(), Broken<K::Error>> {
        let Self { rules, rows, reorder, made } = self;
        rows.read(block, |row| row_of(rules, reorder, made, row, sink))
    }

    /// The file has ended.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn end<K: BarSink>(&mut self, sink: &mut K) -> Result<(), Broken<K::Error>> {
        let Self { rules, rows, reorder, made } = self;
        rows.finish(|row| row_of(rules, reorder, made, row, sink))?;
        reorder.drain().try_for_each(|trade| made.take(rules, &trade, sink))
    }

    /// Ends the bars in the making: there will be no more trades.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn end_bars<K: BarSink>(&mut self, sink: &mut K) -> Result<(), Broken<K::Error>> {
        self.made.end_bars(sink)
    }
}

fn row_of<K: BarSink>(
    rules: &Rules,
    reorder: &mut Reorder,
    made: &mut Made,
    row: Row<'_>,
    sink: &mut K,
) -> Result<(), Broken<K::Error>> {
    match row {
        Row::Trade(trade) => {
            made.counts.trades += 1;
            reorder.push(trade).map_or(Ok(()), |trade| made.take(rules, &trade, sink))
        }
        Row::Bad(error, bytes) => made.reject(rules, BadRow::into(error), bytes, sink),
    }
}

impl Made {
    fn take<K: BarSink>(&mut self, rules: &Rules, trade: &Trade, sink: &mut K) -> Result<(), Broken<K::Error>> {
        match self.sequence.check(trade) {
            Ok(None) => {}
            Ok(Some(gap)) => {
                self.counts.gaps += 1;
                self.counts.missing_trades += gap.missing;
                sink.gap(&gap).map_err(Broken::Sink)?;
                match rules.on_gap {
                    OnGap::Report => {}
                    OnGap::EndBar => self.end_bars(sink)?,
                    OnGap::Fail => return Err(Broken::Gap(gap)),
                }
            }
            Err(error) => {
                self.counts.trades -= 1;
                return self.reject(rules, error.into(), format!("{trade:?}").as_bytes(), sink);
            }
        }
        for (at, bars) in self.bars.iter_mut().enumerate() {
            if let Some(bar) = bars.push(trade).map_err(BarError::from)? {
                self.counts.bars += 1;
                sink.bar(at, &bar).map_err(Broken::Sink)?;
            }
        }
        Ok(())
    }

    fn reject<K: BarSink>(
        &mut self,
        rules: &Rules,
        why: BarError,
        row: &[u8],
        sink: &mut K,
    ) -> Result<(), Broken<K::Error>> {
        match rules.on_bad_row {
            OnBadRow::Fail => Err(why.into()),
            OnBadRow::Skip => {
                self.counts.rejected += 1;
                sink.rejected(&why, row).map_err(Broken::Sink)
            }
        }
    }

    fn end_bars<K: BarSink>(&mut self, sink: &mut K) -> Result<(), Broken<K::Error>> {
        for (at, bars) in self.bars.iter_mut().enumerate() {
            if let Some(bar) = bars.end() {
                self.counts.bars += 1;
                sink.bar(at, &bar).map_err(Broken::Sink)?;
            }
        }
        Ok(())
    }
}
