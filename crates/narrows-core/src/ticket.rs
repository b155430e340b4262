//! A source on its way through a window: it owes exactly one report.
//!
//! A ticket is made when a source is pulled from the list. Whoever has it last settles it with an
//! outcome; dropped unsettled, it is cancelled. That is all there is to "each source ends exactly
//! once": a report is made here and nowhere else.

use std::{mem, time::Duration};

use crate::{
    clock::Timestamp,
    ledger::Ledger,
    report::{Outcome, Report},
    source::Source,
    text::public_url,
    trace,
};

pub(crate) struct Ticket {
    pub(crate) index: u64,
    pub(crate) source: Source,
    ledger: Ledger,
    stage: Stage,
}

/// How far the source has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Pulled from the list; it waits for memory, or for its host.
    Queued,
    /// It was in flight from then on, and waits to be so again.
    Parked(Timestamp),
    InFlight(Timestamp),
    /// Its transfer is over. It took this long.
    Over(Duration),
    /// It has its report.
    Settled,
}

/// What a transfer came to, in numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) requests: u32,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_accepted: u64,
    pub(crate) bytes_out: u64,
    pub(crate) entries: u64,
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Ticket {
    pub(crate) fn new(index: u64, source: Source, ledger: Ledger) -> Self {
        ledger.lock().pulled();
        Self { index, source, ledger, stage: Stage::Queued }
    }

    /// The source is in flight.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        let since = match self.stage {
            Stage::Queued => now,
            Stage::Parked(since) => since,
            stage => panic!("begun twice: {stage:?}"),
        };
        self.stage = Stage::InFlight(since);
        self.ledger.lock().began(since, self.index);
    }

    /// The source is no longer in flight, and will be again.
    pub(crate) fn park(&mut self) {
        if let Stage::InFlight(since) = self.stage {
            self.stage = Stage::Parked(since);
            self.ledger.lock().parked(since, self.index);
        }
    }

    /// Its transfer is over; again is no news.
    pub(crate) fn over(&mut self, now: Timestamp) {
        if let Stage::Parked(_) = self.stage {
            self.begin(now); // it ends where it began
        }
        if let Stage::InFlight(since) = self.stage {
            self.stage = Stage::Over(now.since(since));
            self.ledger.lock().over(since, self.index);
        }
    }

    /// Makes the report and tells whom it concerns; `None` if that was done before.
    pub(crate) fn settle(&mut self, outcome: Outcome, figures: Figures) -> Option<Report> {
        let stage = mem::replace(&mut self.stage, Stage::Settled);
        let elapsed = match stage {
            Stage::Settled => return None,
            Stage::Queued => Duration::ZERO,
            Stage::Over(elapsed) => elapsed,
            Stage::InFlight(_) | Stage::Parked(_) => panic!("settled before its transfer was over"),
        };
        self.ledger.lock().ended(&outcome, stage != Stage::Queued);
        let Figures { status, attempts, requests, bytes_received, bytes_accepted, bytes_out, entries, sha256 } =
            figures;
        let report = Report {
            index: self.index,
            position: self.source.position,
            key: self.source.key.clone(),
            url: public_url(&self.source.url),
            outcome,
            status,
            attempts,
            requests,
            bytes_received,
            bytes_accepted,
            bytes_out,
            entries,
            sha256,
            elapsed,
        };
        trace::ended(&report);
        self.ledger.tell_ended(report.clone());
        Some(report)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // One in flight is ended by its flight, which knows the time.
        if let Stage::Queued | Stage::Over(_) = self.stage {
            let _ = self.settle(Outcome::Cancelled, Figures::default());
        }
    }
}
