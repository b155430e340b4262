//! What an address asks the origin to do wrong.

use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<u64>,
    /// Offsets in the body at which it breaks off, ends early, or stops.
    pub(crate) reset: Option<u64>,
    pub(crate) cut: Option<u64>,
    pub(crate) stall: Option<u64>,
    /// Bytes a second.
    pub(crate) rate: Option<u64>,
    pub(crate) latency: Option<Duration>,
    pub(crate) no_ranges: bool,
    pub(crate) no_length: bool,
    pub(crate) no_etag: bool,
    pub(crate) weak_etag: bool,
    pub(crate) wrong_range: bool,
    /// A range is answered with the part as if it were everything: with its `Content-Range`, or
    /// bare of all headers, as service workers do that wrap a body in an answer of their own.
    pub(crate) rewrap: bool,
    pub(crate) bare: bool,
    /// A range is refused, though it is there; or answered with half of it.
    pub(crate) deny_range: bool,
    pub(crate) short: bool,
    pub(crate) gzip: bool,
    pub(crate) change: bool,
    /// No header but the platform's own choice is shown to pages of other origins, or nothing is.
    pub(crate) hide: bool,
    pub(crate) no_cors: bool,
    pub(crate) redirect: Option<String>,
}

impl Faults {
    /// Whether `NAME=VALUE` asks for one.
    pub(crate) fn names(wish: &str) -> bool {
        let name = wish.split('=').next().unwrap_or_default();
        !["trades", "rows", "key", "gap", "disorder", "bad-row", "mb", "name", "from", "days"].contains(&name)
    }

    /// Reads them from a query; `count` requests for this address came before.
    pub(crate) fn parse(query: &str, count: u64) -> Self {
        let mut faults = Self::default();
        let mut times = u64::MAX;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = value.parse().ok();
            match name {
                "times" => times = number.unwrap_or(u64::MAX),
                "status" => faults.status = value.parse().ok(),
                "retry-after" => faults.retry_after = number,
                "reset" => faults.reset = number,
                "cut" => faults.cut = number,
                "stall" => faults.stall = number,
                "rate" => faults.rate = number.filter(|rate| *rate > 0),
                "latency-ms" => faults.latency = number.map(Duration::from_millis),
                "no-ranges" => faults.no_ranges = true,
                "no-length" => faults.no_length = true,
                "no-etag" => faults.no_etag = true,
                "weak-etag" => faults.weak_etag = true,
                "wrong-range" => faults.wrong_range = true,
                "rewrap" => faults.rewrap = true,
                "bare" => faults.bare = true,
                "deny-range" => faults.deny_range = true,
                "short" => faults.short = true,
                "gzip" => faults.gzip = true,
                "change" => faults.change = true,
                "hide" => faults.hide = true,
                "no-cors" => faults.no_cors = true,
                "redirect" => faults.redirect = Some(value.to_owned()),
                _ => {}
            }
        }
        if count < times {
            return faults;
        }
        // What is wrong only for a time; how the resource is served stays.
        Self {
            status: None,
            reset: None,
            cut: None,
            stall: None,
            redirect: None,
            latency: None,
            wrong_range: false,
            ..faults
        }
    }
}
