//! The job of bars over a network in memory: the same bars however files break off, are cut or resumed.

use std::fmt::Write;

use futures_util::FutureExt;
use narrows_bars::{Bar, Threshold, csv};
use narrows_core::{
    Budget, Options, Order, Window,
    testing::{Fault, MemoryFetch, SkippingClock},
    unpack,
};
use narrows_jobs::{
    bars::{
        BarSink, ChecksumPolicy, Done, Event, File, OnBadRow, OnGap, Pipeline, Rules, State, Stopped, run, sources,
    },
    calendar::day,
};
use narrows_sim::{Hex, Prng, Style, zip};
use sha2::{Digest, Sha256};

/// Days of trades, each with its name, its text, and the zip of it.
struct Days(Vec<(String, Vec<u8>)>);

impl Days {
    fn new(days: u32, trades: u64) -> Self {
        let (mut prng, mut price, mut id) = (Prng::new(7), 6_000_000_u64, 1_u64);
        let from = day("2024-02-27").unwrap();
        let days = std::iter::successors(Some(from), |day| Some(day.next())).take(days as usize);
        Self(
            days.map(|day| {
                let mut text = String::new();
                for number in 0..trades {
                    price = price + prng.below(2001) - 1000;
                    let time = (u64::from(day.since_1970()) * 86_400_000) + number * (86_400_000 / trades);
                    let (whole, part, amount) = (price / 100, price % 100, prng.below(100_000));
                    writeln!(text, "{id},{whole}.{part:02},0.{amount:05},{id},{id},{time},{},True", id % 3 == 0)
                        .unwrap();
                    id += 1;
                }
                (format!("S-aggTrades-{day}.zip"), text.into_bytes())
            })
            .collect(),
        )
    }

    fn files(&self) -> Vec<File> {
        self.0.iter().map(|(name, _)| File::new(format!("mem://{name}"))).collect()
    }

    fn fetch(&self) -> MemoryFetch {
        self.0.iter().fold(MemoryFetch::new(), |fetch, (name, text)| {
            let packed = zip(&[(name.replace(".zip", ".csv"), text.clone())], || Style::Deflated);
            let digest = format!("{}  {name}\n", Hex(&Sha256::digest(&packed)));
            fetch.with(format!("mem://{name}.CHECKSUM"), digest).with(format!("mem://{name}"), packed)
        })
    }
}

/// Rows of bars, and where they were at the last commit.
#[derive(Default)]
struct Kept {
    text: String,
    committed: usize,
    state: Option<String>,
    files: Vec<String>,
    rejected: u64,
}

impl BarSink for Kept {
    type Error = std::fmt::Error;

    fn bar(&mut self, threshold: usize, bar: &Bar) -> std::fmt::Result {
        write!(self.text, "{threshold},")?;
        csv::write(&mut self.text, bar)
    }

    fn rejected(&mut self, _: &narrows_bars::BarError, _: &[u8]) -> std::fmt::Result {
        self.rejected += 1;
        Ok(())
    }

    fn commit(&mut self, done: &Done<'_>) -> std::fmt::Result {
        self.committed = self.text.len();
        self.state = Some(done.state.to_string());
        self.files.push(done.file.to_owned());
        Ok(())
    }

    fn roll_back(&mut self) -> std::fmt::Result {
        self.text.truncate(self.committed);
        Ok(())
    }
}

fn rules() -> Rules {
    Rules::new([10, 25].map(|dbps| Threshold::new(dbps).unwrap()).to_vec())
}

type Ended = Result<(), Stopped<std::fmt::Error>>;

fn make(
    fetch: &MemoryFetch,
    files: Vec<File>,
    policy: ChecksumPolicy,
    pipeline: &mut Pipeline,
    kept: &mut Kept,
) -> (Ended, Vec<String>) {
    make_over(fetch, files, policy, Vec::new(), pipeline, kept)
}

fn make_over(
    fetch: &MemoryFetch,
    files: Vec<File>,
    policy: ChecksumPolicy,
    overrides: Vec<String>,
    pipeline: &mut Pipeline,
    kept: &mut Kept,
) -> (Ended, Vec<String>) {
    let (clock, budget) = (SkippingClock::new(), Budget::new(32 << 20));
    let options = Options::new()
        .limit(3)
        .order(Order::List)
        .sha256(true)
        .not_found(narrows_core::NotFound::Skip)
        .unpack(unpack::Options::default());
    let mut told = Vec::new();
    let ended = async {
        let given = (fetch.clone(), clock.clone(), &budget, &options);
        let (rest, files, expected) = sources(files.into_iter(), policy, overrides, &[], given).unwrap();
        let mut window = Window::new(files, fetch.clone(), clock.clone(), &rest, options.clone()).unwrap();
        run(&mut window, &expected, pipeline, kept, |event| {
            told.push(match event {
                Event::Done(file, _, trades) => format!("{}: {trades}", file.name),
                Event::Missing(file) => format!("{}: missing", file.name),
                Event::Unproven(file, why) => format!("{}: {why}", file.name),
                _ => unreachable!(),
            });
        })
        .await
    };
    let ended = ended.now_or_never().expect("nothing waits");
    assert_eq!(budget.reserved(), 0, "all memory is given back");
    (ended, told)
}

fn whole(days: &Days) -> Kept {
    let mut kept = Kept::default();
    let (ended, told) =
        make(&days.fetch(), days.files(), ChecksumPolicy::Require, &mut Pipeline::new(rules()), &mut kept);
    ended.unwrap();
    assert_eq!(told.len(), days.0.len());
    assert!(kept.text.lines().count() > 100, "{}", kept.text.lines().count());
    kept
}

#[test]
fn files_may_be_resumed_one_by_one_from_the_state_as_text() {
    let days = Days::new(6, 2000);
    let expected = whole(&days);
    let mut kept = Kept::default();
    for file in days.files() {
        let mut pipeline = match &kept.state {
            None => Pipeline::new(rules()),
            Some(state) => Pipeline::resume(rules(), &state.parse().unwrap()).unwrap(),
        };
        make(&days.fetch(), vec![file], ChecksumPolicy::Require, &mut pipeline, &mut kept).0.unwrap();
    }
    assert_eq!((kept.text, kept.state), (expected.text, expected.state));
    let other = Rules::new(vec![Threshold::new(11).unwrap()]);
    assert!(
        Pipeline::resume(other, &kept.files.first().map(|_| State { last: None, bars: Vec::new() }).unwrap()).is_none()
    );
}

#[test]
fn a_file_that_breaks_off_is_rolled_back_and_another_run_goes_on() {
    let days = Days::new(5, 2000);
    let expected = whole(&days);
    for broken in 0..5 {
        let url = format!("mem://{}", days.0[broken].0);
        let fetch = days.fetch().with_fault(&url, Fault::Cut { after: 3000, times: 1000 });
        let (mut kept, mut pipeline) = (Kept::default(), Pipeline::new(rules()));
        let (ended, _) = make(&fetch, days.files(), ChecksumPolicy::Require, &mut pipeline, &mut kept);
        assert!(matches!(ended, Err(Stopped::File(file, _)) if file.name == days.0[broken].0));
        assert_eq!(kept.files.len(), broken);
        assert!(expected.text.starts_with(&kept.text), "nothing of the broken file is left");
        let rest = days.files().split_off(broken);
        make(&days.fetch(), rest, ChecksumPolicy::Require, &mut pipeline, &mut kept).0.unwrap();
        assert_eq!(kept.text, expected.text, "broken at {broken}");
    }
}

#[test]
fn a_checksum_is_required_warned_of_or_overridden() {
    let days = Days::new(3, 500);
    let names = days.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let wrong = format!("{}  {}\n", "0".repeat(64), names[1]);
    let fetch = days.fetch().with(format!("mem://{}.CHECKSUM", names[1]), wrong.as_bytes());
    let run = |policy, overrides: Vec<String>| {
        let mut kept = Kept::default();
        let (ended, told) = make_over(&fetch, days.files(), policy, overrides, &mut Pipeline::new(rules()), &mut kept);
        (ended, told, kept.files.len())
    };
    let (ended, _, files) = run(ChecksumPolicy::Require, Vec::new());
    assert!(
        matches!(ended, Err(Stopped::File(file, failure)) if file.name == names[1] && failure.kind.code() == "digest_mismatch")
    );
    assert_eq!(files, 1);
    for (policy, overrides) in [(ChecksumPolicy::Warn, Vec::new()), (ChecksumPolicy::Require, vec![names[1].clone()])] {
        let (ended, told, files) = run(policy, overrides);
        ended.unwrap();
        assert_eq!(files, 3);
        assert_eq!(told.iter().filter(|line| line.contains("published is 000000")).count(), 1, "{told:?}");
    }
    let (ended, told, files) = run(ChecksumPolicy::Skip, Vec::new());
    ended.unwrap();
    assert_eq!((told.len(), files), (3, 3));
}

#[test]
fn a_checksum_that_is_not_there_is_said_and_a_file_that_is_not_there_is_missing() {
    let days = Days::new(3, 500);
    let names = days.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let gone = |url: String| days.fetch().with_fault(&url, Fault::Status { status: 404, times: 1000 });
    let mut kept = Kept::default();
    let fetch = gone(format!("mem://{}.CHECKSUM", names[1]));
    let (ended, _) = make(&fetch, days.files(), ChecksumPolicy::Require, &mut Pipeline::new(rules()), &mut kept);
    assert!(
        matches!(ended, Err(Stopped::File(file, failure)) if file.name == names[1] && failure.to_string().contains("no checksum is published"))
    );
    assert_eq!(kept.files, names[..1]);
    // Known to be wrong is only warned of, and so is none.
    let (mut kept, known) = (Kept::default(), vec![names[1].clone()]);
    let mut pipeline = Pipeline::new(rules());
    let (ended, told) = make_over(&fetch, days.files(), ChecksumPolicy::Require, known, &mut pipeline, &mut kept);
    ended.unwrap();
    assert_eq!(told[1], format!("{}: no checksum is published", names[1]));
    // Both gone: the day was never published, and the gap shows in the trades.
    let fetch = gone(format!("mem://{}", names[1]))
        .with_fault(&format!("mem://{}.CHECKSUM", names[1]), Fault::Status { status: 404, times: 1000 });
    let (mut kept, mut pipeline) = (Kept::default(), Pipeline::new(rules()));
    let (ended, told) = make(&fetch, days.files(), ChecksumPolicy::Require, &mut pipeline, &mut kept);
    ended.unwrap();
    assert_eq!(told[1], format!("{}: missing", names[1]));
    assert_eq!((pipeline.counts().gaps, pipeline.counts().missing_trades), (1, 500));
}

fn take(rules: Rules, text: &str) -> (Result<(), String>, Pipeline, Kept) {
    let (mut pipeline, mut kept) = (Pipeline::new(rules), Kept::default());
    let taken = pipeline.take(text.as_bytes(), &mut kept).and_then(|()| pipeline.end(&mut kept));
    (taken.map_err(|error| error.to_string()), pipeline, kept)
}

#[test]
fn rows_that_are_none_end_the_run_or_are_counted() {
    let text = "1,100,1,1,1,1000,true\n2,free,1,2,2,1001,true\n3,100,1,3,3,1002,true\n3,100,1,3,3,1002,true\n";
    let (taken, ..) = take(rules(), text);
    assert_eq!(taken, Err("row 2, price \"free\": not a decimal number".to_owned()));
    let mut skipping = rules();
    skipping.on_bad_row = OnBadRow::Skip;
    let (taken, pipeline, kept) = take(skipping, text);
    taken.unwrap();
    assert_eq!(
        (pipeline.counts().trades, pipeline.counts().rejected, kept.rejected),
        (2, 2, 2),
        "one is twice the same"
    );
}

#[test]
fn disorder_within_the_window_is_put_right() {
    let row = |id: u64, time: u64| format!("{id},100,1,{id},{id},{time},true\n");
    let text = [row(1, 10), row(2, 30), row(3, 20), row(4, 40)].concat();
    let (taken, pipeline, _) = take(rules(), &text);
    taken.unwrap();
    assert_eq!((pipeline.counts().reordered, pipeline.state().last), (1, Some((40_000, 4))));
    let mut strict = rules();
    strict.reorder = 0;
    assert!(take(strict, &text).0.unwrap_err().contains("aggregate trade 3 at 20000 us is not after 2 at 30000 us"));
}

#[test]
fn gaps_are_reported_end_bars_or_end_the_run() {
    let text = "1,100,1,1,1,1000,true\n5,100,1,5,5,1001,true\n";
    let with = |on_gap| {
        let mut rules = rules();
        rules.on_gap = on_gap;
        take(rules, text)
    };
    let (taken, pipeline, kept) = with(OnGap::Report);
    taken.unwrap();
    assert_eq!((pipeline.counts().missing_trades, kept.text.lines().count()), (3, 0));
    let (taken, pipeline, kept) = with(OnGap::EndBar);
    taken.unwrap();
    assert_eq!((pipeline.counts().bars, kept.text.lines().count()), (2, 2), "one of each width");
    assert_eq!(with(OnGap::Fail).0, Err("a gap of 3 aggregate trades and 0.001 s between 1 and 5".to_owned()));
}
