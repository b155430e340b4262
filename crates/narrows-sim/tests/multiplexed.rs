//! Bodies that share connections, as HTTP/2 has it: the origin sends ahead into the window of each
//! stream and of its connection, whether or not anybody reads.

use std::{
    cell::{Cell, RefCell},
    future::{Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use narrows_core::{
    Budget, Options, Outcome, Source, Window,
    fetch::{Body, Fetch, Head, Profile, Request, Response},
    places::{Place, Places},
};
use narrows_sim::{SimError, Tasks, World};

/// Flow control window of a stream, and length of each body.
const WINDOW: u64 = 1000;
const LENGTH: u64 = 5000;

/// A connection: what its window has left, and who waits for some of it.
struct Connection {
    left: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Connection {
    fn new(bodies: usize) -> Rc<Self> {
        Rc::new(Self { left: Cell::new(WINDOW * (bodies as u64 + 1)), waiting: RefCell::default() })
    }
}

/// Reaches an origin over connections with places for so many bodies, and windows for so many.
#[derive(Clone)]
struct Multiplexed {
    places: Rc<RefCell<Places<Rc<Connection>>>>,
    windows_for: usize,
}

impl Multiplexed {
    fn new(places: usize, windows_for: usize) -> Self {
        let first = Connection::new(windows_for);
        Self { places: Rc::new(RefCell::new(Places::new(first, places))), windows_for }
    }
}

impl Fetch for Multiplexed {
    type Error = SimError;
    type Body = Stream;
    type Future = Ready<Result<Response<Stream>, SimError>>;

    fn profile(&self) -> Profile {
        Profile { holds_back: true, exchange_bytes: WINDOW }
    }

    fn fetch(&self, _request: Request) -> Self::Future {
        let make = || Some(Connection::new(self.windows_for));
        let (connection, place) = self.places.borrow_mut().take(make);
        let head = Head { status: 200, length: Some(LENGTH), ..Head::default() };
        let mut body = Stream { connection, sent: 0, buffered: 0, _place: place };
        body.send();
        ready(Ok(Response { head, body }))
    }
}

/// A body: what has been sent of it, and what of that nobody has read.
struct Stream {
    connection: Rc<Connection>,
    sent: u64,
    buffered: u64,
    _place: Place,
}

impl Stream {
    /// The origin sends as far as both windows allow.
    fn send(&mut self) {
        let more = (LENGTH - self.sent).min(WINDOW - self.buffered).min(self.connection.left.get());
        self.connection.left.set(self.connection.left.get() - more);
        self.sent += more;
        self.buffered += more;
    }
}

impl Body for Stream {
    type Error = SimError;

    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SimError>>> {
        self.send();
        if self.buffered == 0 && self.sent == LENGTH {
            return Poll::Ready(None);
        }
        if self.buffered == 0 {
            self.connection.waiting.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        let read = std::mem::take(&mut self.buffered);
        self.connection.left.set(self.connection.left.get() + read);
        self.connection.waiting.take().into_iter().for_each(Waker::wake);
        // An origin sends ahead of the reader, as far as the windows allow.
        self.send();
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; read as usize]))))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.left.set(self.connection.left.get() + self.buffered);
        self.connection.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// Two windows of ten on one client, all bodies at rest for ten minutes; the first one's limit is
/// raised to fifty meanwhile. How their sources end, and in how many attempts.
fn at_rest(fetch: &Multiplexed) -> Vec<(&'static str, u32)> {
    let world = World::new(7);
    let budget = Budget::new(64 << 20);
    let ended: Rc<RefCell<Vec<(&'static str, u32)>>> = Rc::default();
    for (number, limit_after) in [50, 10].into_iter().enumerate() {
        let sources = (0..60).map(move |index| Source::new(format!("sim://{number}/{index}")));
        let options = Options::new().limit(10).block_bytes(500).idle_timeout(Duration::from_secs(30));
        let mut window = Window::from_iter(sources, fetch.clone(), world.clock(), &budget, options).unwrap();
        let (world_of_task, ended) = (world.clone(), ended.clone());
        world.spawn("consumer", async move {
            let mut files = Vec::new();
            for taken in 0..60 {
                if taken == 10 {
                    window.handle().set_limit(limit_after);
                }
                if taken == limit_after.max(10) {
                    break;
                }
                let mut file = window.next().await.unwrap();
                let _ = file.next_block().await; // and then it rests
                files.push(file);
            }
            world_of_task.sleep(Duration::from_secs(600)).await;
            for mut file in files {
                while let Ok(Some(_)) = file.next_block().await {}
                let report = file.finish();
                let code = match &report.outcome {
                    Outcome::Failed(failure) => failure.kind.code(),
                    other => other.name(),
                };
                ended.borrow_mut().push((code, report.attempts));
            }
        });
    }
    let mut tasks = Tasks::of(&world);
    while !tasks.names().is_empty() && tasks.step().is_ok() {}
    tasks.abandon();
    ended.take()
}

#[test]
fn bodies_at_rest_starve_nobody_however_many_windows_there_are() {
    let seen = at_rest(&Multiplexed::new(10, 10));
    assert_eq!(seen.len(), 60);
    assert!(seen.iter().all(|end| *end == ("done", 1)), "{seen:?}");
}

#[test]
fn without_places_an_honest_origin_looks_dead() {
    // One connection with a window for ten, as it was: what the test above must be able to notice.
    let seen = at_rest(&Multiplexed::new(usize::MAX, 10));
    assert!(seen.len() < 60 || seen.iter().any(|end| *end != ("done", 1)), "{seen:?}");
}
