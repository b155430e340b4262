//! An origin in the world: serves ranges and validators as it should, or misbehaves as the seed
//! has it, one exchange at a time.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use narrows_core::{
    Clock, Prng, Timestamp,
    fetch::{Body, ContentRange, Fetch, FetchError, FetchErrorKind, Head, Profile, Request, Response},
    rate::Rate,
};

use crate::{
    content::{Content, Packing, gzip},
    faults::{Faults, Manner},
    world::{SimSleep, World},
};

/// What an address stands for, in the address itself: `sim://…/s<seed>l<length>p<packing>.zip`.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Seed of the content.
    pub seed: u64,
    /// Unpacked length.
    pub length: usize,
    /// How it is packed.
    pub packing: Packing,
    /// Whether it may be corrupt.
    pub corruptible: bool,
}

/// An origin, and the adapter that reaches it.
#[derive(Clone)]
pub struct SimOrigin {
    world: World,
    profile: Profile,
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    faults: Faults,
    manner: Option<Manner>,
    specs: BTreeMap<String, Spec>,
    versions: BTreeMap<String, u64>,
    contents: BTreeMap<(String, u64), Rc<Content>>,
    /// What was refused in a way that trying again cannot change.
    refused: BTreeSet<String>,
    /// One of those that was asked for again.
    asked_again: Option<String>,
    open: usize,
    /// By host: exchanges that are open, and the latest requests.
    hosts: BTreeMap<String, (usize, VecDeque<Timestamp>)>,
}

/// Requests of a host that are remembered: more than any burst.
const REMEMBERED: usize = 8;

fn host_of(url: &str) -> String {
    url.split('/').nth(2).unwrap_or_default().into()
}

impl SimOrigin {
    /// An origin in `world` that misbehaves as `faults` say.
    pub fn new(world: &World, profile: Profile, faults: Faults, manner: Manner) -> Self {
        let shared = Shared { faults, manner: Some(manner), ..Shared::default() };
        Self { world: world.clone(), profile, shared: Rc::new(RefCell::new(shared)) }
    }

    /// Serves `spec` at `url`.
    pub fn serve(&self, url: &str, spec: Spec) {
        self.shared.borrow_mut().specs.insert(url.into(), spec);
    }

    /// The content of `url` in a version, drawn when first asked for.
    pub fn content(&self, url: &str, version: u64) -> Rc<Content> {
        let key = (url.to_owned(), version);
        if let Some(content) = self.shared.borrow().contents.get(&key) {
            return content.clone();
        }
        let Some(spec) = self.shared.borrow().specs.get(url).copied() else { panic!("no such resource: {url}") };
        // Versions differ from the first byte on, or only somewhere behind.
        let mut content = Content::draw(spec.seed, spec.packing, spec.length, spec.corruptible);
        if version > 0 && spec.packing == Packing::Plain && spec.seed % 2 == 0 && spec.length > 0 {
            let mut bytes = content.wire.to_vec();
            let at = Prng::new(spec.seed ^ version).below(bytes.len() as u64) as usize;
            bytes[at] = b'A' + (version % 20) as u8;
            content.wire = bytes.clone().into();
            content.entries[0].1 = bytes;
        } else if version > 0 {
            content = Content::draw(spec.seed.wrapping_add(version), spec.packing, spec.length, spec.corruptible);
        }
        let content = Rc::new(content);
        self.shared.borrow_mut().contents.insert(key, content.clone());
        content
    }

    /// Versions that `url` has had, from 0.
    pub fn versions(&self, url: &str) -> u64 {
        self.shared.borrow().versions.get(url).copied().unwrap_or(0) + 1
    }

    /// An address that was asked for again after a final refusal.
    pub fn asked_again(&self) -> Option<String> {
        self.shared.borrow().asked_again.clone()
    }

    /// Exchanges that are open.
    pub fn open(&self) -> usize {
        self.shared.borrow().open
    }

    /// Exchanges that are open at a host, and whether its latest requests came faster than `rate`.
    pub fn of_host(&self, host: &str, rate: Option<Rate>) -> (usize, bool) {
        let shared = self.shared.borrow();
        let Some((open, asked)) = shared.hosts.get(host) else { return (0, false) };
        let too_soon = rate.is_some_and(|rate| {
            let (burst, interval) = (rate.burst as usize, Duration::from_secs_f64(0.999_999 / rate.per_second));
            // The last one is `burst` behind another at least so long ago.
            asked.len() > burst && asked[asked.len() - 1].since(asked[asked.len() - 1 - burst]) < interval
        });
        (*open, too_soon)
    }

    /// Bytes of chunks that the core has in hand, in all origins of this thread.
    pub fn in_hand() -> u64 {
        IN_HAND.with(std::cell::Cell::get)
    }

    fn hit(&self, chance: impl Fn(&Faults) -> u64) -> bool {
        let chance = chance(&self.shared.borrow().faults);
        !self.world.is_healed() && self.world.below(1024) < chance
    }

    fn latency(&self) -> Duration {
        let manner = self.shared.borrow().manner;
        let max = manner.filter(|_| !self.world.is_healed()).map_or(50, |manner| manner.latency_max.as_millis());
        Duration::from_millis(self.world.below(max as u64 + 1))
    }

    fn answer(&self, request: &Request) -> Result<(Head, SimBody), SimError> {
        let world = &self.world;
        if self.shared.borrow().refused.contains(&*request.url) {
            self.shared.borrow_mut().asked_again = Some(request.url.to_string());
        }
        if self.hit(|faults| faults.refuse) {
            let kind = if world.below(2) == 0 { FetchErrorKind::Connect } else { FetchErrorKind::Refused };
            return Err(SimError(kind));
        }
        if self.hit(|faults| faults.tls) {
            self.shared.borrow_mut().refused.insert(request.url.to_string());
            return Err(SimError(FetchErrorKind::Tls));
        }
        if self.hit(|faults| faults.overload) {
            let retry_after = (world.below(2) == 0).then(|| Duration::from_secs(world.below(40)));
            let status = if world.below(2) == 0 { 429 } else { 503 };
            return Ok((Head { status, retry_after, ..Head::default() }, self.body(Bytes::new(), End::Clean)));
        }
        if self.hit(|faults| faults.status) {
            let status = [400, 403, 404, 408, 410, 500, 502, 504][world.below(8) as usize];
            if matches!(status, 400 | 403 | 404 | 410) {
                self.shared.borrow_mut().refused.insert(request.url.to_string());
            }
            return Ok((Head { status, ..Head::default() }, self.body(Bytes::from_static(b"sorry"), End::Clean)));
        }
        if self.hit(|faults| faults.change) {
            *self.shared.borrow_mut().versions.entry(request.url.to_string()).or_default() += 1;
            world.note("change", 0);
        }
        let version = self.versions(&request.url) - 1;
        let content = self.content(&request.url, version);
        let etag = format!("\"v{version}\"");
        let mut wire = content.wire.clone();
        let mut head = Head { status: 200, accepts_ranges: true, ..Head::default() };
        if self.profile.holds_back && self.hit(|faults| faults.encode) {
            // The encoded form is another representation, with a validator of its own, and this
            // origin does not serve ranges of it.
            // What is gzip already is its own encoded form.
            if !request.url.ends_with(".gz") {
                wire = gzip(&wire).into();
            }
            head.encoding = Some("gzip".into());
            head.accepts_ranges = false;
            head.length = Some(wire.len() as u64);
            return Ok((head, self.cut(wire)));
        }
        head.etag = Some(etag.as_str().into());
        if self.shared.borrow().manner.is_some_and(|manner| manner.dated) {
            head.modified = Some(etag.as_str().into());
        }
        // Where segments cannot be told apart by a validator, a change could not be noticed.
        let may_hide = self.profile.holds_back || head.modified.is_some() || self.shared.borrow().faults.change == 0;
        if may_hide && self.hit(|faults| faults.no_etag) {
            head.etag = if world.below(2) == 0 { None } else { Some(format!("W/{etag}").into()) };
        }
        if self.hit(|faults| faults.no_ranges) {
            head.accepts_ranges = false;
        }
        let total = wire.len() as u64;
        head.length = Some(total);
        let matches = request.if_range.as_deref().is_none_or(|expected| expected == etag);
        if let Some(range) = request.range
            && matches
            && !self.hit(|faults| faults.ignore_range)
        {
            let (mut start, end) = (range.start, range.end.unwrap_or(total).min(total));
            if self.hit(|faults| faults.wrong_range) {
                start = world.below(total + 1);
            }
            if start >= end {
                head.status = 416;
                head.range = Some(ContentRange { part: None, total: Some(total) });
                return Ok((head, self.body(Bytes::new(), End::Clean)));
            }
            head.status = 206;
            let part = self.hit(|faults| faults.part);
            let end = if part { start + 1 + world.below(end - start) } else { end };
            head.range = Some(ContentRange { part: Some((start, end)), total: (!part).then_some(total) });
            head.length = Some(end - start);
            wire = wire.slice(start as usize..end as usize);
        }
        if self.hit(|faults| faults.no_length) && head.status == 200 {
            head.length = None;
        }
        if self.hit(|faults| faults.lie) {
            head.length = head.length.map(|length| length + 1 + world.below(1000));
        }
        if self.hit(|faults| faults.overlong) && head.length.is_some() {
            wire = [&wire[..], b"and more"].concat().into();
        }
        Ok((head, self.cut(wire)))
    }

    /// A body that ends where the seed has it.
    fn cut(&self, wire: Bytes) -> SimBody {
        let at = |end| (wire.slice(..self.world.below(wire.len() as u64 + 1) as usize), end);
        let (bytes, end) = if self.hit(|faults| faults.reset) {
            at(End::Reset)
        } else if self.hit(|faults| faults.truncate) {
            at(End::Clean)
        } else if self.hit(|faults| faults.stall) {
            at(End::Stall)
        } else {
            (wire, End::Clean)
        };
        self.body(bytes, end)
    }

    fn body(&self, bytes: Bytes, end: End) -> SimBody {
        SimBody { origin: self.clone(), bytes, end, wait: None, open: None }
    }
}

impl Fetch for SimOrigin {
    type Error = SimError;
    type Body = SimBody;
    type Future = SimExchange;

    fn profile(&self) -> Profile {
        self.profile
    }

    fn fetch(&self, request: Request) -> SimExchange {
        SimExchange { origin: self.clone(), request, wait: None, open: None }
    }
}

/// An open exchange: a connection in miniature.
struct Open(SimOrigin, String);

impl Open {
    fn new(origin: &SimOrigin, url: &str) -> Self {
        let (host, now) = (host_of(url), origin.world.clock().now());
        let mut shared = origin.shared.borrow_mut();
        shared.open += 1;
        let (open, asked) = shared.hosts.entry(host.clone()).or_default();
        *open += 1;
        asked.push_back(now);
        if asked.len() > REMEMBERED {
            asked.pop_front();
        }
        Self(origin.clone(), host)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut shared = self.0.shared.borrow_mut();
        shared.open -= 1;
        if let Some((open, _)) = shared.hosts.get_mut(&self.1) {
            *open -= 1;
        }
    }
}

/// An exchange up to the answer's head.
pub struct SimExchange {
    origin: SimOrigin,
    request: Request,
    wait: Option<SimSleep>,
    open: Option<Open>,
}

impl Future for SimExchange {
    type Output = Result<Response<SimBody>, SimError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let origin = this.origin.clone();
        let wait = this.wait.get_or_insert_with(|| {
            this.open = Some(Open::new(&origin, &this.request.url));
            let forever = Duration::from_secs(1 << 40);
            origin.world.sleep(if origin.hit(|faults| faults.silent) { forever } else { origin.latency() })
        });
        ready!(Pin::new(wait).poll(cx));
        let mut answer = origin.answer(&this.request);
        if let Ok((head, _)) = &mut answer
            && origin.shared.borrow().manner.is_some_and(|manner| manner.hides)
        {
            let modified = head.modified.take();
            *head = Head { status: head.status, length: head.length, modified, hidden: true, ..Head::default() };
        }
        let start = this.request.range.map_or(0, |range| range.start);
        origin.world.note("answer", answer.as_ref().map_or(0, |(head, _)| u64::from(head.status)) << 32 | start);
        let open = this.open.take();
        Poll::Ready(answer.map(|(head, body)| Response { head, body: SimBody { open, ..body } }))
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Clean,
    Reset,
    Stall,
}

/// A body that comes in pieces.
pub struct SimBody {
    origin: SimOrigin,
    bytes: Bytes,
    end: End,
    wait: Option<SimSleep>,
    #[expect(dead_code, reason = "it counts as long as the body lives")]
    open: Option<Open>,
}

impl Body for SimBody {
    type Error = SimError;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SimError>>> {
        let this = &mut *self;
        let origin = this.origin.clone();
        let stalls = this.bytes.is_empty() && matches!(this.end, End::Stall);
        let wait = this.wait.get_or_insert_with(|| {
            origin.world.sleep(if stalls { Duration::from_secs(1 << 40) } else { origin.latency() })
        });
        ready!(Pin::new(wait).poll(cx));
        this.wait = None;
        if this.bytes.is_empty() {
            return Poll::Ready(match this.end {
                End::Reset => Some(Err(SimError(FetchErrorKind::Interrupted))),
                End::Clean | End::Stall => None,
            });
        }
        let manner = origin.shared.borrow().manner;
        let longest = manner.map_or(4096, |manner| manner.chunk_max).min(origin.profile.exchange_bytes);
        let length = (1 + origin.world.below(longest)).min(this.bytes.len() as u64);
        origin.world.note("chunk", length);
        let chunk = this.bytes.split_to(length as usize);
        Poll::Ready(Some(Ok(Bytes::from_owner(InHand::new(chunk)))))
    }
}

/// A chunk that knows when the core lets go of it. `Bytes` wants its owner `Send`, so the count
/// is kept per thread.
struct InHand {
    bytes: Bytes,
}

thread_local! {
    static IN_HAND: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl InHand {
    fn new(bytes: Bytes) -> Self {
        IN_HAND.with(|count| count.set(count.get() + bytes.len() as u64));
        Self { bytes }
    }
}

impl AsRef<[u8]> for InHand {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        IN_HAND.with(|count| count.set(count.get() - self.bytes.len() as u64));
    }
}

/// Why an exchange failed.
#[derive(Debug)]
pub struct SimError(pub FetchErrorKind);

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated: {}", self.0)
    }
}

impl std::error::Error for SimError {}

impl FetchError for SimError {
    fn kind(&self) -> FetchErrorKind {
        self.0
    }
}
