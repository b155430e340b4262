//! Runs a plan and holds the contract after every step and at the end.

use std::{error::Error as StdError, fmt, rc::Rc, sync::PoisonError, time::Duration};

use futures_util::{StreamExt, stream};
use narrows_core::{
    Budget, Handle, Order, Outcome, Prng, Proof, Report, Source, Window,
    guard::{Guard, Reading},
    working_set::Term,
};

use crate::{
    consumer::{Consumers, Record, SKIPPED, SimWindow},
    content::{Content, Packing},
    origin::SimOrigin,
    plan::{Expected, Plan, WindowPlan},
    world::{SimClock, Tasks, World},
};

/// What a seed came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// A digest of everything that happened.
    pub trace: u64,
    /// Polls and jumps of the clock.
    pub steps: u64,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Sources by outcome: done, skipped, failed, cancelled.
    pub outcomes: [u64; 4],
}

/// A line of the contract that did not hold.
#[derive(Debug)]
pub struct Violation {
    /// All that was drawn.
    pub plan: Box<Plan>,
    /// The step after which it was noticed.
    pub step: u64,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at step {}: {}\n{:#?}", self.plan.seed, self.step, self.what, self.plan)
    }
}

impl StdError for Violation {}

/// No seed needs nearly as many steps.
const STEPS_MAX: u64 = 3_000_000;

/// Draws what `seed` stands for and runs it.
///
/// # Errors
///
/// The [`Violation`] of the contract, if there is one.
pub fn check(seed: u64) -> Result<Summary, Box<Violation>> {
    run(Plan::draw(seed))
}

/// Runs a plan.
///
/// # Errors
///
/// The [`Violation`] of the contract, if there is one.
pub fn run(plan: Plan) -> Result<Summary, Box<Violation>> {
    let announce = Announce(&plan);
    let course = Course::new(&plan);
    let mut tasks = Tasks::of(&course.world);
    let mut step = 0;
    let result = loop {
        if course.is_over(&mut tasks) {
            break course.check_end(tasks);
        }
        if plan.abandon_at == Some(step) {
            break course.check_abandoned(tasks);
        }
        if plan.heal_at == step {
            course.world.heal();
        }
        if step == STEPS_MAX {
            break Err(format!("no end after {STEPS_MAX} steps"));
        }
        step += 1;
        if let Err(stuck) = tasks.step() {
            break Err(format!("nothing can go on, though these wait: {:?}", stuck.tasks));
        }
        if let Err(what) = course.check_step() {
            break Err(what);
        }
    };
    drop(announce);
    match result {
        Ok(outcomes) => {
            let (trace, _) = course.world.trace();
            Ok(Summary { trace, steps: step, elapsed: course.world.elapsed(), outcomes })
        }
        Err(what) => Err(Box::new(Violation { plan: Box::new(plan), step, what })),
    }
}

/// Prints the plan when code under test panics.
struct Announce<'a>(&'a Plan);

impl Drop for Announce<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the panic came with this plan: {:#?}", self.0);
        }
    }
}

/// A plan on its way.
struct Course<'a> {
    plan: &'a Plan,
    world: World,
    origin: SimOrigin,
    /// The common budget, then those of the windows.
    budgets: Vec<Budget>,
    handles: Vec<Handle<SimClock>>,
    consumers: Consumers,
    /// Most exchanges there may ever be, limits raised while running included.
    open_max: usize,
}

/// A guard whose readings wander up and down.
fn pressing(seed: u64) -> Guard {
    let (mut prng, mut used) = (Prng::new(seed), 50u64);
    Guard::new(move || {
        used = (used + prng.below(41)).saturating_sub(20).clamp(30, 105);
        let stalled = [0, 0, 0, 0, 0, 0, 150, 500][prng.below(8) as usize];
        (prng.below(10) > 0).then_some(Reading { used, limit: 100, resident: used, stalled })
    })
}

fn url(window: usize, index: usize, window_plan: &WindowPlan) -> String {
    let (spec, _) = &window_plan.sources[index];
    let host = index as u64 % window_plan.hosts;
    format!("sim://{window}-{host}/{index}{}", spec.packing.ending())
}

impl<'a> Course<'a> {
    fn new(plan: &'a Plan) -> Self {
        let world = World::new(plan.seed);
        let origin = SimOrigin::new(&world, plan.profile, plan.faults, plan.manner);
        let largest = plan.windows.iter().map(|window| window.options.working_set(plan.profile).total()).max();
        let common = Budget::new(largest.unwrap_or(0) * plan.budget_quarters / 4);
        let consumers = Consumers::new(&world);
        world.spawn("holder", consumers.clone().keep());
        let mut course =
            Self { plan, origin, budgets: vec![common.clone()], handles: Vec::new(), open_max: 0, consumers, world };
        for (number, window_plan) in plan.windows.iter().enumerate() {
            let own = window_plan.options.working_set(plan.profile).total();
            let budget = if window_plan.nested { common.nested(own) } else { common.clone() };
            let window = course.window(number, window_plan, &budget);
            course.budgets.push(budget);
            course.handles.push(window.handle());
            course.open_max += window_plan.options.limit + usize::from(window_plan.steered);
            course.world.spawn("consumer", course.consumers.clone().serve(window, window_plan.clone(), number));
        }
        course
    }

    fn window(&self, number: usize, plan: &WindowPlan, budget: &Budget) -> SimWindow {
        let sources: Vec<Source> = (0..plan.sources.len())
            .map(|index| {
                let (spec, expected) = plan.sources[index];
                let url = url(number, index, plan);
                self.origin.serve(&url, spec);
                let source = Source::new(url.as_str());
                let content = self.origin.content(&url, 0);
                match expected {
                    Expected::Nothing => source,
                    Expected::Right => content.expect(source),
                    Expected::Wrong => content.expect(source).md5([7; 16]),
                }
            })
            .collect();
        let (world, slow) = (self.world.clone(), plan.slow_list);
        let sources = stream::iter(sources).then(move |source| {
            let pause = slow.then(|| world.sleep(Duration::from_millis(world.below(500))));
            async move {
                if let Some(pause) = pause {
                    pause.await;
                }
                source
            }
        });
        let options = plan.options.clone().guard(plan.pressure.map(pressing));
        let made = Window::new(sources.boxed_local(), self.origin.clone(), self.world.clock(), budget, options);
        let window = made.unwrap_or_else(|error| panic!("a whole working set is enough: {error}"));
        let reports = self.consumers.reports.clone();
        window.observed_by(move |report: &Report| {
            reports.lock().unwrap_or_else(PoisonError::into_inner).push((number, report.clone()));
        })
    }

    /// Only the holder is left, which waits for ever.
    fn is_over(&self, tasks: &mut Tasks) -> bool {
        tasks.names().iter().all(|name| *name == "holder") && self.consumers.in_hand.get() == 0
    }

    fn check_step(&self) -> Result<(), String> {
        let mut held = 0;
        let mut in_flight = 0;
        for (number, handle) in self.handles.iter().enumerate() {
            let stats = handle.stats();
            held += stats.held;
            in_flight += stats.in_flight;
            let ensure = |holds: bool, what| ensure(holds, || format!("window {number}: {what}: {stats:?}"));
            ensure(stats.reserved <= stats.capacity, "more reserved than the budget has")?;
            ensure(stats.reserved_by_phase.iter().sum::<u64>() <= stats.reserved, "phases exceed the reservation")?;
            ensure(stats.held <= stats.reserved, "the consumer holds more than is reserved")?;
            let ended = stats.done + stats.skipped + stats.failed + stats.cancelled;
            let open = stats.queued + stats.in_flight + stats.uncommitted;
            ensure(stats.pulled == open + ended, "a source lost or counted twice")?;
            let options = &self.plan.windows[number].options;
            let ahead = if options.order == Order::List { 1 } else { options.look_ahead.max(1) as u64 };
            // What was in flight and backs off comes on top.
            let most = options.limit as u64 + 1 + u64::from(self.plan.windows[number].steered);
            ensure(stats.queued <= ahead + most, "more sources wait than may be looked ahead")?;
            ensure(stats.bytes_refetched <= stats.bytes_in, "more bytes in vain than came")?;
            let plan = &self.plan.windows[number];
            if plan.sources.len() == 1 && plan.options.unpack.is_none() && stats.in_flight == 1 {
                // Of a single source, as it comes, what has come and not gone out is in memory.
                let inside = (stats.bytes_in - stats.bytes_refetched).saturating_sub(stats.bytes_out);
                let set = plan.options.working_set(self.plan.profile);
                // A whole body in place of a segment has room of its own.
                let whole = if self.plan.faults.ignore_range > 0 { stats.reserved } else { 0 };
                let room = [Term::Segments, Term::Exchange, Term::Blocks].map(|term| set.get(term)).iter().sum::<u64>();
                let room = room.max(whole);
                ensure(inside <= room || self.plan.faults.encode > 0, "more bytes inside than there is room for")?;
            }
        }
        let counted = self.consumers.in_hand.get();
        ensure(held == counted, || format!("{counted} bytes in consumers' hands, {held} in the stats"))?;
        let open = self.origin.open();
        ensure(open <= self.open_max && open as u64 <= in_flight, || {
            format!("{open} exchanges, {in_flight} in flight, limits {}", self.open_max)
        })?;
        for (number, plan) in self.plan.windows.iter().enumerate() {
            let bodies_max = plan.politeness.host_bodies;
            for host in (0..plan.hosts).map(|host| format!("{number}-{host}")) {
                let (open, too_soon) = self.origin.of_host(&host, plan.politeness.host_requests);
                ensure(open <= bodies_max, || format!("{open} exchanges at {host}, {bodies_max} allowed"))?;
                ensure(!too_soon, || format!("{host} was asked faster than {:?}", plan.politeness.host_requests))?;
            }
        }
        let asked_again = self.origin.asked_again();
        ensure(asked_again.is_none(), || format!("{asked_again:?} was asked for again after a final refusal"))?;
        let (chunks, allowed) = (SimOrigin::in_hand(), in_flight * self.plan.profile.exchange_bytes);
        ensure(chunks <= allowed, || format!("{chunks} bytes of chunks in hand, {allowed} are charged for"))
    }

    /// Every task has ended: nothing is left, and every source has its one right end.
    fn check_end(&self, tasks: Tasks) -> Result<[u64; 4], String> {
        tasks.abandon();
        self.consumers.kept.borrow_mut().clear();
        self.check_nothing_left()?;
        let mut outcomes = [0; 4];
        for (number, (plan, handle)) in self.plan.windows.iter().zip(&self.handles).enumerate() {
            let stats = handle.stats();
            for (sum, count) in outcomes.iter_mut().zip([stats.done, stats.skipped, stats.failed, stats.cancelled]) {
                *sum += count;
            }
            let seen = self.check_reports(number)?;
            let left = self.consumers.left.borrow().contains(&number);
            let once = seen.iter().all(|count| *count == 1 || (left && *count == 0));
            ensure(once, || format!("window {number}: reports per source: {seen:?}"))?;
            ensure(stats.in_flight == 0 && stats.held == 0, || format!("window {number} is not over: {stats:?}"))?;
            for record in self.consumers.records.borrow().iter().filter(|record| record.window == number) {
                self.check_record(plan, record)?;
            }
        }
        Ok(outcomes)
    }

    /// Everything was dropped at an arbitrary moment.
    fn check_abandoned(&self, tasks: Tasks) -> Result<[u64; 4], String> {
        tasks.abandon();
        self.consumers.holder.clear();
        self.consumers.kept.borrow_mut().clear();
        self.check_nothing_left()?;
        for number in 0..self.plan.windows.len() {
            self.check_reports(number)?;
        }
        for record in self.consumers.records.borrow().iter() {
            self.check_record(&self.plan.windows[record.window], record)?;
        }
        Ok([0; 4])
    }

    /// Each source that was pulled has ended, once, and none is done that was not committed. Gives
    /// the reports of each source.
    fn check_reports(&self, number: usize) -> Result<Vec<u64>, String> {
        let stats = self.handles[number].stats();
        let ended = stats.done + stats.skipped + stats.failed + stats.cancelled;
        ensure(stats.pulled == ended, || format!("window {number}: pulled sources have not ended: {stats:?}"))?;
        let reports = self.consumers.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.consumers.records.borrow();
        let mut seen = vec![0; self.plan.windows[number].sources.len()];
        for (_, report) in reports.iter().filter(|(window, _)| *window == number) {
            seen[report.index as usize] += 1;
            let record = records.iter().find(|record| record.window == number && record.index == report.index);
            let committed = record.is_some_and(|record| record.committed);
            let done = matches!(report.outcome, Outcome::Done(_));
            ensure(!done || committed, || format!("window {number}: done, though nobody committed it: {report:?}"))?;
        }
        let told: u64 = seen.iter().sum();
        let twice = seen.iter().any(|count| *count > 1);
        ensure(told == stats.pulled && !twice, || format!("window {number}: {seen:?} reports, {stats:?}"))?;
        Ok(seen)
    }

    fn check_nothing_left(&self) -> Result<(), String> {
        for budget in &self.budgets {
            let (reserved, waiting) = (budget.reserved(), budget.waiting());
            ensure(reserved == 0 && waiting == 0, || {
                format!("{reserved} bytes reserved, {waiting} claims, after all")
            })?;
            ensure(budget.peak() <= budget.capacity(), || "the peak is above the capacity".into())?;
        }
        let (open, timers, chunks) = (self.origin.open(), self.world.timers(), SimOrigin::in_hand());
        ensure(open == 0 && timers == 0 && chunks == 0, || {
            format!("{open} exchanges, {timers} timers, {chunks} bytes of chunks left")
        })
    }

    fn check_record(&self, plan: &WindowPlan, record: &Record) -> Result<(), String> {
        let index = record.index as usize;
        let (spec, expected) = plan.sources[index];
        let url = url(record.window, index, plan);
        let versions: Vec<Rc<Content>> =
            (0..self.origin.versions(&url)).map(|version| self.origin.content(&url, version)).collect();
        let unpacks = plan.options.unpack.is_some();
        let reports = self.consumers.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let told = reports.iter().find(|(window, report)| *window == record.window && report.index == record.index);
        let Some((_, report)) = told else { return Err(format!("{url}: ended, and nobody was told")) };
        let ensure = |holds: bool, what: &str| ensure(holds, || format!("{url}: {what}: {report:?} {spec:?}"));
        // No file here is long enough to start a new row of retries. One more is for asking plainly.
        let retry = &plan.options.retry;
        let tries = u64::from(retry.retries_max) + u64::from(retry.refusals_max) + 2;
        let counted = self.plan.profile.holds_back && self.plan.faults.part == 0;
        // Where bodies are held back, each request is a try.
        ensure(!counted || u64::from(report.requests) <= tries, "more exchanges than retries allow")?;
        let proof = match &report.outcome {
            Outcome::Done(proof) => *proof,
            Outcome::Failed(failure) => {
                let corrupt = unpacks && versions.iter().any(|content| content.corrupt);
                let own = ["too_big_to_collect", "storage"].contains(&failure.kind.code());
                let fine = corrupt || expected == Expected::Wrong || own;
                return ensure(!self.plan.healthy || fine, "failed, though the origin is healthy");
            }
            Outcome::Skipped => return ensure(!self.plan.healthy, "skipped, though it is there"),
            Outcome::Cancelled => return Ok(()),
        };
        ensure(expected != Expected::Wrong, "done, though its digest is wrong")?;
        // Without a length, bytes cut off where a format may end cannot be missed.
        let faults = &self.plan.faults;
        let may_be_short =
            (faults.no_length > 0 || (self.plan.manner.hides && faults.part > 0)) && proof == Proof::UnverifiedEnd;
        let fits = |content: &Rc<Content>, bytes: &[u8]| {
            let whole = if unpacks { content.unpacked() } else { content.wire.to_vec() };
            bytes == whole || (may_be_short && whole.starts_with(bytes))
        };
        if let Some(bytes) = &record.bytes {
            ensure(report.bytes_out == bytes.len() as u64, "bytes out differ from bytes taken")?;
            ensure(versions.iter().any(|content| fits(content, bytes)), "done with bytes of no version")?;
        }
        if let Some(names) = record.names.as_ref().filter(|_| unpacks && spec.packing == Packing::Zip) {
            let same = |content: &Rc<Content>| {
                names.len() == content.entries.len()
                    && names.iter().zip(&content.entries).all(|(seen, (name, _))| seen == SKIPPED || seen == name)
            };
            ensure(versions.iter().any(same), "done with entries of no version")?;
        }
        let corrupt = unpacks && versions.iter().all(|content| content.corrupt);
        ensure(!corrupt || self.plan.faults.no_length > 0, "done, though every version is corrupt")
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
