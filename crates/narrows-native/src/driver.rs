//! Runs a window on tasks: one for each delivery, so that unpacking uses every core.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use futures_util::{
    Stream, StreamExt,
    future::{Either, select},
};
use narrows_core::{Clock, Delivery, Fetch, Window, source::Listed};
use tokio::task::{JoinError, JoinSet};

/// Files up to this length are begun in place.
const SMALL_BYTES: u64 = 16 << 10;

/// Calls `consume` for every delivery of `window`, each on a task of its own unless it is small and
/// done at once, and waits for all.
///
/// At most as many run at once as the window's limit; those that wait hold their place and their
/// memory, so the budget covers the hand-over, too. Must be called inside a tokio runtime. Any
/// adapter will do, as long as what `consume` returns can be sent to another thread.
///
/// Cancellation: dropping the returned future aborts all tasks, and with them every exchange.
///
/// # Panics
///
/// If a call of `consume` panicked, with the same panic, after aborting the others.
///
/// ```
/// use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// use narrows_native::for_each;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fetch = MemoryFetch::new().with("mem://a", *b"12345");
/// let budget = Budget::new(64 << 20);
/// let mut window = Window::from_iter(["mem://a"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// for_each(&mut window, |mut delivery| async move {
///     let mut bytes = 0;
///     while let Ok(Some(block)) = delivery.next_block().await {
///         bytes += block.len();
///     }
///     println!("{bytes} bytes, {:?}", delivery.finish());
/// })
/// .await;
/// assert_eq!(window.stats().done, 1);
/// # Ok(()) }
/// ```
pub async fn for_each<F, C, S, W, R>(window: &mut Window<F, C, S>, consume: W)
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream + Unpin,
    S::Item: Listed,
    W: Fn(Delivery<F, C>) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    enum Never {}
    let consume = |delivery| {
        let consumed = consume(delivery);
        async move {
            consumed.await;
            Ok::<_, Never>(())
        }
    };
    match try_for_each(window, consume).await {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

/// As [`for_each`], until a call of `consume` fails: then the others are aborted.
///
/// # Errors
///
/// The first error of `consume`. What was not delivered stays in the window: drop it, or go on.
///
/// # Panics
///
/// As [`for_each`].
///
/// ```
/// # use narrows_core::{Budget, Options, Window, testing::{MemoryFetch, SkippingClock}};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let fetch = MemoryFetch::new();
/// # let budget = Budget::new(64 << 20);
/// # let mut window = Window::from_iter(["mem://missing"], fetch, SkippingClock::new(), &budget, Options::new())?;
/// let ended = narrows_native::try_for_each(&mut window, |mut delivery| async move {
///     while let Some(_block) = delivery.next_block().await? {}
///     delivery.finish();
///     Ok::<_, narrows_core::Failure>(())
/// });
/// assert_eq!(ended.await.unwrap_err().kind.code(), "not_found");
/// # Ok(()) }
/// ```
pub async fn try_for_each<F, C, S, W, R, E>(window: &mut Window<F, C, S>, consume: W) -> Result<(), E>
where
    F: Fetch + Clone,
    C: Clock + Clone,
    S: Stream + Unpin,
    S::Item: Listed,
    W: Fn(Delivery<F, C>) -> R,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        while let Some(ended) = tasks.try_join_next() {
            pass_on(ended)?;
        }
        // A task may outlive its place in flight: it may still be writing what it took.
        if tasks.len() >= window.limit() {
            let ended = {
                let (join, drive) = (pin!(tasks.join_next()), pin!(window.drive()));
                match select(join, drive).await {
                    Either::Left((ended, _)) => ended,
                    Either::Right(((), join)) => join.await,
                }
            };
            ended.map_or(Ok(()), pass_on)?;
            continue;
        }
        // A task that fails is noticed while the list has nothing new.
        let next = match tasks.is_empty() {
            true => window.next().await,
            false => match select(pin!(window.next()), pin!(tasks.join_next())).await {
                Either::Left((next, _)) => next,
                Either::Right((ended, _)) => {
                    ended.map_or(Ok(()), pass_on)?;
                    continue;
                }
            },
        };
        let Some(delivery) = next else { break };
        let small = delivery.declared_length().is_some_and(|length| length <= SMALL_BYTES);
        let mut consumed = Box::pin(consume(delivery));
        // What is small is mostly there, and done with sooner than another thread wakes.
        if small && let Poll::Ready(consumed) = poll_once(&mut consumed).await {
            consumed?;
        } else {
            tasks.spawn(consumed);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        pass_on(ended)?;
    }
    Ok(())
}

async fn poll_once<R: Future + Unpin>(future: &mut R) -> Poll<R::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn pass_on<E>(ended: Result<Result<(), E>, JoinError>) -> Result<(), E> {
    match ended {
        Ok(consumed) => consumed,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(()), // aborted, which nobody does but a runtime that ends
    }
}
