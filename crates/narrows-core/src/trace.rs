//! What happens to sources, as spans and events of the `tracing` crate: with the feature of that name;
//! without it, nothing is left of this module.
//!
//! ```text
//! span  source   { index, key, url }
//!   span  attempt  { number }
//!     event exchange { start, end }       debug
//!     event answer   { status, length }   debug
//!   event failed   { code, retry_in_ms }          warn
//! event ended    { index, outcome, code, attempts, requests, bytes_received, bytes_out }   info
//! ```
//!
//! Addresses are without user, password, query and fragment. Names of spans and fields are stable.

#[cfg(feature = "tracing")]
mod with {
    use std::time::Duration;

    use tracing::{Level, Span, debug, info, span, warn};

    use crate::{
        failure::FailureKind,
        fetch::ByteRange,
        head::Head,
        report::{Outcome, Report},
        source::Source,
    };

    /// The span of a source, and that of its current attempt.
    pub(crate) struct SourceSpan {
        source: Span,
        attempt: Span,
    }

    impl SourceSpan {
        pub(crate) fn new(index: u64, source: &Source) -> Self {
            let (key, url) = (source.key.as_deref().unwrap_or_default(), source.public_url());
            let source = span!(parent: None, Level::INFO, "source", index, key, url);
            Self { source, attempt: Span::none() }
        }

        pub(crate) fn exchange(&mut self, attempt: u32, range: Option<ByteRange>) {
            self.attempt = span!(parent: &self.source, Level::DEBUG, "attempt", number = attempt);
            let (start, end) = (range.map(|range| range.start), range.and_then(|range| range.end));
            self.attempt.in_scope(|| debug!(name: "exchange", start, end, "exchange"));
        }

        pub(crate) fn answered(&self, head: &Head) {
            self.attempt.in_scope(|| debug!(name: "answer", status = head.status, length = head.length, "answer"));
        }

        pub(crate) fn failed(&self, kind: &FailureKind, wait: Option<Duration>) {
            let retry_in_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.source.in_scope(|| warn!(name: "failed", code = kind.code(), retry_in_ms, "failed: {kind}"));
        }
    }

    pub(crate) fn ended(report: &Report) {
        let Report { index, attempts, requests, bytes_received, bytes_out, .. } = *report;
        let code = match &report.outcome {
            Outcome::Done(proof) => proof.name(),
            Outcome::Failed(failure) => failure.kind.code(),
            Outcome::Skipped | Outcome::Cancelled => "",
        };
        let outcome = report.outcome.name();
        info!(name: "ended", index, outcome, code, attempts, requests, bytes_received, bytes_out, "{outcome}: {}", report.url);
    }
}

#[cfg(not(feature = "tracing"))]
mod without {
    use std::time::Duration;

    use crate::{failure::FailureKind, fetch::ByteRange, head::Head, report::Report, source::Source};

    pub(crate) struct SourceSpan;

    impl SourceSpan {
        pub(crate) fn new(_index: u64, _source: &Source) -> Self {
            Self
        }

        pub(crate) fn exchange(&mut self, _attempt: u32, _range: Option<ByteRange>) {}

        pub(crate) fn answered(&self, _head: &Head) {}

        pub(crate) fn failed(&self, _kind: &FailureKind, _wait: Option<Duration>) {}
    }

    pub(crate) fn ended(_report: &Report) {}
}

#[cfg(feature = "tracing")]
pub(crate) use with::{SourceSpan, ended};
#[cfg(not(feature = "tracing"))]
pub(crate) use without::{SourceSpan, ended};
