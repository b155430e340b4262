//! The bounds that a user states on what is asked of hosts.

use crate::rate::Rate;

/// Bounds on what is asked of hosts. A host is scheme, name and port of an address.
///
/// ```
/// use narrows_core::{Options, hosts::{Hosts, Politeness}, rate::Rate};
///
/// let hosts = Hosts::new(Politeness::new().host_requests(Rate::new(10.0)).host_bodies(4));
/// let options = Options::new().hosts(hosts.clone()); // and others' options, to be polite together
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Politeness {
    /// Requests a second to all hosts together. Default: unbounded.
    pub requests: Option<Rate>,
    /// Bytes a second from all hosts together. Default: unbounded.
    pub bytes: Option<Rate>,
    /// Requests a second to each host. Default: unbounded.
    pub host_requests: Option<Rate>,
    /// Bytes a second from each host. Default: unbounded.
    pub host_bytes: Option<Rate>,
    /// Transfers of each host at once. Default: unbounded.
    pub host_bodies: usize,
    /// Whether refusals (429, 503, refused connections) lower what is asked of a host, for all its
    /// sources. Default `true`.
    pub adapts: bool,
    /// Refusals in a row, nothing else in between, after which a host counts as down: its sources
    /// fail without being asked for until it is tried again, after 30 s first and 5 minutes at
    /// most. Waits between them double, so that the default of 12 takes some 50 s.
    pub breaker_after: u32,
    /// Hosts that are remembered while nothing of them is in flight; eight times as many where they
    /// must not be asked yet. Default 1,000.
    pub hosts_max: usize,
}

impl Default for Politeness {
    fn default() -> Self {
        Self {
            requests: None,
            bytes: None,
            host_requests: None,
            host_bytes: None,
            host_bodies: usize::MAX,
            adapts: true,
            breaker_after: 12,
            hosts_max: 1000,
        }
    }
}

impl Politeness {
    /// The defaults: nothing is bounded, refusals are heeded.
    pub fn new() -> Self {
        Self::default()
    }

    /// As for feeds and pages of strangers: to each host one request in two seconds, two at once
    /// after a pause, and no more than two transfers.
    pub fn polite() -> Self {
        Self { host_requests: Some(Rate::new(0.5).burst(2)), host_bodies: 2, ..Self::default() }
    }

    crate::setters! {
        requests: [into Option<Rate>],
        bytes: [into Option<Rate>],
        host_requests: [into Option<Rate>],
        host_bytes: [into Option<Rate>],
        host_bodies: [usize],
        adapts: [bool],
        breaker_after: [u32],
        hosts_max: [usize],
    }
}
