//! Signals that end a job in order: Ctrl-C, being asked to terminate, a terminal that hangs up, and whatever else would
//! end the process by itself.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use futures_util::future::select_all;
use narrows::{DefaultClock, Handle};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// `timeout` and service managers send two signals at once, which is no wish to skip the clean-up.
const SECOND_AFTER: Duration = Duration::from_secs(1);

/// SIGXFSZ: a file has become larger than the process may write.
const FILE_SIZE: i32 = 25;

struct Interrupts(Vec<Signal>);

impl Interrupts {
    fn listen() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::alarm(),
            SignalKind::from_raw(FILE_SIZE),
        ];
        // What `nohup` has told the process to ignore stays so. Not an interrupt, which shells ignore for whatever they
        // run in the background, and which whoever sends it means.
        let is_nohup = ignored() & 1 << (SignalKind::hangup().as_raw_value() - 1) != 0;
        let heeded = kinds.into_iter().filter(|kind| !(is_nohup && *kind == SignalKind::hangup()));
        Ok(Self(heeded.map(signal).collect::<io::Result<_>>()?))
    }

    async fn next(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// Signals that were ignored when the process began: bit 0 is signal 1. None where that cannot be told.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Interrupts cancel the window; what is given turns true with the first one.
pub(crate) fn heed(window: Handle<DefaultClock>) -> io::Result<watch::Receiver<bool>> {
    let (cancel, cancelled) = watch::channel(false);
    tokio::spawn(run(Interrupts::listen()?, cancel, window));
    Ok(cancelled)
}

/// The first interrupt ends the job in order, one that comes later at once.
async fn run(mut interrupts: Interrupts, cancel: watch::Sender<bool>, window: Handle<DefaultClock>) {
    interrupts.next().await;
    let first = Instant::now();
    let _ = cancel.send(true);
    window.cancel();
    while first.elapsed() < SECOND_AFTER {
        interrupts.next().await;
    }
    std::process::exit(130);
}
