//! What is known of one host, and the hosts there are.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::{clock::Timestamp, pace::Pace, rate::Gcra, retry::doubled};

/// How long a host that is down is left alone: at first, and at most.
const DOWN_FOR: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// How long a host is left alone that does nothing but refuse: at first, and at most.
const BLOCKED_FOR: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));
/// From this refusal in a row on. Fewer are how a bound is found.
const REFUSALS_IN_PASSING: u32 = 4;

/// Hosts by name, in order. There are more lookups than hosts come and go.
#[derive(Default)]
pub(crate) struct Known(pub(crate) Vec<(Arc<str>, Host)>);

impl Known {
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Host> {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Host> {
        self.find(name).ok().map(|at| &mut self.0[at].1)
    }

    /// The host of this name, new if it has to be.
    pub(crate) fn of(&mut self, name: &Arc<str>) -> &mut Host {
        let at = self.find(name).unwrap_or_else(|at| {
            self.0.insert(at, (name.clone(), Host::default()));
            at
        });
        &mut self.0[at].1
    }
}

#[derive(Default)]
pub(crate) struct Host {
    /// Transfers that have a permit.
    pub(crate) in_flight: usize,
    pub(crate) pace: Pace,
    pub(crate) requests: Gcra,
    pub(crate) bytes: Gcra,
    /// What the origin asked for with `Retry-After`.
    pub(crate) blocked_until: Timestamp,
    /// Whether it ever answered otherwise than by refusing.
    pub(crate) has_answered: bool,
    /// Refusals since it did, those sent together counted once.
    pub(crate) refusals: u32,
    pub(crate) refused_at: Option<Timestamp>,
    /// Digests of the addresses that were refused last: whether it is the host that refuses, or one of
    /// its files. Addresses, because windows that share the table number their sources each from 0.
    refused_addresses: [Option<u64>; 2],
    /// Where it is down: until when, and for how long the next time.
    pub(crate) down_until: Option<Timestamp>,
    pub(crate) down_for: Duration,
    pub(crate) touched: Timestamp,
}

impl Host {
    /// A refusal of what was sent after the last one. The host is left alone for longer
    /// each time, once it is more than a bound that was touched.
    pub(crate) fn note_refusal(&mut self, now: Timestamp, breaker_after: u32) {
        self.refused_at = Some(now);
        self.refusals = self.refusals.saturating_add(1);
        if let Some(doublings) = self.refusals.checked_sub(REFUSALS_IN_PASSING) {
            let wait = doubled(BLOCKED_FOR.0, doublings, BLOCKED_FOR.1);
            self.blocked_until = self.blocked_until.max(now + wait);
        }
        if self.refusals >= breaker_after.max(1) {
            self.down_for = (self.down_for * 2).clamp(DOWN_FOR.0, DOWN_FOR.1);
            self.down_until = Some(now + self.down_for);
        }
    }

    /// Notes an address that was refused. Whether others were, so that it is the host that refuses: one
    /// file that is always refused is no sign of a host with too much to do.
    pub(crate) fn note_address(&mut self, url: &str) -> bool {
        let address = Some(digest_of(url));
        let others = self.refused_addresses.iter().any(|other| other.is_some() && *other != address);
        if self.refused_addresses[0] != address {
            self.refused_addresses = [address, self.refused_addresses[0]];
        }
        others
    }
}

fn digest_of(url: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    hasher.finish()
}

/// Scheme, name and port of an address, in lower case: whom to be polite to.
pub(crate) fn host_of(url: &str) -> Arc<str> {
    let scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[scheme..];
    let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}{host}", &url[..scheme]).to_ascii_lowercase().into()
}
