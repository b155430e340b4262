//! Runs a window on tasks: one for each delivery, so that unpacking uses every core.

use std::{future::poll_fn, pin::Pin, task::Poll};

use futures_util::{
    Stream, StreamExt,
    future::{Either, select},
};
use narrows_core::Source;
use tokio::task::{JoinError, JoinSet};

use crate::{Delivery, Window};

/// Files up to this length are begun in place.
const SMALL_BYTES: u64 = 16 << 10;

/// Calls `consume` for every delivery of `window`, each on a task of its own unless it is small and
/// done at once, and waits for all.
///
/// At most as many run at once as the window's limit; those that wait hold their place and their
/// memory, so the budget covers the hand-over, too. Must be called inside a tokio runtime.
///
/// Cancellation: dropping the returned future aborts all tasks, and with them every exchange.
///
/// # Panics
///
/// If a call of `consume` panicked, with the same panic, after aborting the others.
///
/// ```no_run
/// use narrows_native::{Client, ClientOptions, TokioClock, for_each};
/// use narrows_core::{Budget, Options, Source, Window};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(ClientOptions::default())?;
/// let budget = Budget::new(64 << 20);
/// let options = Options { unpack: Some(Default::default()), ..Options::default() };
/// let sources = ["http://example.com/a.zip", "http://example.com/b.gz"].map(Source::new);
/// let mut window = Window::from_iter(sources, client, TokioClock::new(), &budget, options)?;
/// for_each(&mut window, |mut delivery| async move {
///     let mut bytes = 0;
///     while let Ok(Some(block)) = delivery.next_block().await {
///         bytes += block.len();
///     }
///     println!("{}: {bytes} bytes, {:?}", delivery.source().url, delivery.report());
/// })
/// .await;
/// # Ok(()) }
/// ```
pub async fn for_each<S, C, R>(window: &mut Window<S>, consume: C)
where
    S: Stream<Item = Source> + Unpin,
    C: Fn(Delivery) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        while let Some(ended) = tasks.try_join_next() {
            pass_on(ended);
        }
        // A task may outlive its place in flight: it may still be writing what it took.
        if tasks.len() >= window.limit() {
            let ended = {
                let (join, drive) = (std::pin::pin!(tasks.join_next()), std::pin::pin!(window.drive()));
                match select(join, drive).await {
                    Either::Left((ended, _)) => ended,
                    Either::Right(((), join)) => join.await,
                }
            };
            ended.into_iter().for_each(pass_on);
            continue;
        }
        let Some(delivery) = window.next().await else { break };
        let small = delivery.declared_length().is_some_and(|length| length <= SMALL_BYTES);
        let mut consumed = Box::pin(consume(delivery));
        // What is small is mostly there, and done with sooner than another thread wakes.
        if !small || poll_once(&mut consumed).await.is_pending() {
            tasks.spawn(consumed);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        pass_on(ended);
    }
}

async fn poll_once<R: Future<Output = ()> + Unpin>(future: &mut R) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
