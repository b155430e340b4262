//! What may be asked of which host now: stated rates, learned paces, places, and who is down.
//!
//! Windows ask here before they admit a source, so that one that has to wait holds neither memory
//! nor a place; transfers ask before each further request, and tell what became of it. One table
//! serves all windows that are to be polite together. It holds what is in use and, of the rest, no
//! more than [`Politeness::hosts_max`].

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

pub use crate::politeness::Politeness;
use crate::{
    clock::Timestamp,
    host::{Host, Known},
    pace::Cut,
    rate::{Gcra, Rate},
};

/// Hosts, and what may be asked of them. Clones are handles of one table; windows that share one
/// must have clocks of one epoch.
///
/// ```
/// use narrows_core::hosts::{Hosts, Politeness};
///
/// let hosts = Hosts::new(Politeness::polite());
/// assert!(hosts.stats().is_empty(), "nothing has been asked yet");
/// ```
#[derive(Clone)]
pub struct Hosts(Arc<Mutex<Table>>);

struct Table {
    politeness: Politeness,
    hosts: Known,
    requests: Gcra,
    bytes: Gcra,
    /// Windows that found nothing to admit.
    waiting: Vec<Waker>,
}

/// A host at one moment.
///
/// No example: [`Hosts::stats`] gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, name and port.
    pub host: Arc<str>,
    /// Transfers in flight.
    pub in_flight: usize,
    /// Transfers it bears at once, where it was once too many.
    pub bodies_max: Option<usize>,
    /// Requests a second it bears, where they were once too many.
    pub rate: Option<f64>,
    /// Refusals since its last other answer.
    pub refusals: u32,
    /// Whether its sources fail without being asked for.
    pub is_down: bool,
}

/// The choice among what waits to be admitted.
pub(crate) enum Pick {
    /// This one, with its permit.
    Take(usize, Permit),
    /// All that may begin are at hosts that have something in flight; others may be further on.
    LookOn,
    /// None before that time, or before something ends.
    Wait(Option<Timestamp>),
}

/// What a refusal comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// Whether the host has too much to do, so that it is no fault of this source.
    pub(crate) is_hosts: bool,
    /// Whether the host counts as down now.
    pub(crate) is_down: bool,
    /// The host is not to be asked before that.
    pub(crate) until: Timestamp,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new(Politeness::default())
    }
}

impl Hosts {
    /// A table of which nothing is known yet.
    pub fn new(politeness: Politeness) -> Self {
        let (requests, bytes) = (Gcra::default(), Gcra::default());
        let table = Table { politeness, hosts: Known::default(), requests, bytes, waiting: Vec::new() };
        Self(Arc::new(Mutex::new(table)))
    }

    /// The hosts that something is known of, by name.
    pub fn stats(&self) -> Vec<HostStats> {
        let table = self.table();
        let hosts = table.hosts.0.iter();
        hosts
            .map(|(name, host)| HostStats {
                host: name.clone(),
                in_flight: host.in_flight,
                bodies_max: Some(host.pace.limit()).filter(|limit| *limit != usize::MAX),
                rate: host.pace.rate(),
                refusals: host.refusals,
                is_down: host.down_until.is_some(),
            })
            .collect()
    }

    /// Of candidates in order, each with the time before which it must not be asked for, the first
    /// of the host with fewest in flight. Takes its place. Where there are more candidates to be had
    /// (`looks_on`) and several hosts, it does not yet take from a host that has something in flight.
    pub(crate) fn pick<'a>(
        &self,
        now: Timestamp,
        candidates: impl Iterator<Item = (&'a Arc<str>, Timestamp)>,
        looks_on: bool,
        cx: &mut Context<'_>,
    ) -> Pick {
        let mut table = self.table();
        let mut chosen: Option<(usize, usize, &Arc<str>, bool)> = None;
        let mut next: Option<Timestamp> = None;
        for (at, (name, not_before)) in candidates.enumerate() {
            let (in_flight, ready, is_down) = match table.hosts.get(name) {
                Some(host) if host.down_until.is_some_and(|until| now < until) => (0, now, true),
                Some(host) if host.down_until.is_some() && host.in_flight > 0 => continue, // one may try
                Some(host) if host.in_flight >= table.places(host) => continue,            // its end wakes
                Some(host) => (host.in_flight, table.ready_at(host).max(not_before), false),
                None => (0, table.all_ready_at().max(not_before), false),
            };
            if ready > now {
                next = Some(next.map_or(ready, |next| next.min(ready)));
            } else if chosen.is_none_or(|(_, fewest, ..)| in_flight < fewest) {
                chosen = Some((at, in_flight, name, is_down));
                if in_flight == 0 {
                    break;
                }
            }
        }
        let looks_on = looks_on && table.hosts.0.len() > 1;
        if looks_on && chosen.is_none_or(|(_, in_flight, ..)| in_flight > 0) {
            return Pick::LookOn;
        }
        let Some((at, _, name, is_down)) = chosen else {
            if !table.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                table.waiting.push(cx.waker().clone());
            }
            return Pick::Wait(next);
        };
        table.prune(name, now);
        let host = table.hosts.of(name);
        host.in_flight += 1;
        host.touched = now;
        let asks = if is_down { Asks::Down } else { Asks::None };
        let counts_bytes = table.politeness.bytes.is_some() || table.politeness.host_bytes.is_some();
        Pick::Take(at, Permit { hosts: self.clone(), name: name.clone(), asks, counts_bytes })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &Arc<str>, change: impl FnOnce(&mut Host, &Politeness) -> T) -> T {
        let mut table = self.table();
        let Table { hosts, politeness, waiting, .. } = &mut *table;
        let changed = change(hosts.of(name), politeness);
        let waiting = mem::take(waiting);
        drop(table);
        waiting.into_iter().for_each(Waker::wake);
        changed
    }
}

impl Table {
    /// Transfers of this host that there may be at once.
    fn places(&self, host: &Host) -> usize {
        self.politeness.host_bodies.min(host.pace.limit()).max(1)
    }

    fn all_ready_at(&self) -> Timestamp {
        self.politeness.requests.map_or(Timestamp::default(), |rate| self.requests.ready_at(rate))
    }

    fn host_rate(&self, host: &Host) -> Option<Rate> {
        let learned = host.pace.rate().map(Rate::new);
        match (self.politeness.host_requests, learned) {
            (Some(stated), Some(learned)) if stated.per_second < learned.per_second => Some(stated),
            (stated, learned) => learned.or(stated),
        }
    }

    /// When this host may be asked for something more.
    fn ready_at(&self, host: &Host) -> Timestamp {
        let own = self.host_rate(host).map_or(Timestamp::default(), |rate| host.requests.ready_at(rate));
        own.max(host.blocked_until).max(self.all_ready_at())
    }

    fn take_request(&mut self, name: &Arc<str>, now: Timestamp) {
        if let Some(rate) = self.politeness.requests {
            self.requests.take(rate, now, 1);
        }
        let rate = self.hosts.get(name).and_then(|host| self.host_rate(host));
        if let (Some(rate), Some(host)) = (rate, self.hosts.get_mut(name)) {
            host.requests.take(rate, now, 1);
        }
    }

    /// Makes room for one more host. Of those that have nothing in flight, first those go that may be
    /// asked now in any case; beyond eight times as many as are to be kept, the longest untouched.
    fn prune(&mut self, but: &Arc<str>, now: Timestamp) {
        let kept = self.politeness.hosts_max.max(1);
        if self.hosts.0.len() < kept || self.hosts.get(but).is_some() {
            return;
        }
        let is_free = |host: &Host| {
            let has_rested = host.requests.has_rested(now) && host.bytes.has_rested(now);
            has_rested && host.blocked_until <= now && host.down_until.is_none()
        };
        let idle = || self.hosts.0.iter().filter(|(_, host)| host.in_flight == 0);
        let oldest = idle().filter(|(_, host)| is_free(host)).min_by_key(|(_, host)| host.touched);
        let any = || idle().min_by_key(|(_, host)| host.touched).filter(|_| self.hosts.0.len() >= 8 * kept);
        if let Some(gone) = oldest.or_else(any).map(|(name, _)| name.clone()) {
            self.hosts.0.retain(|(name, _)| *name != gone);
        }
    }
}

/// A transfer's place at its host. It counts until it is dropped.
pub(crate) struct Permit {
    hosts: Hosts,
    name: Arc<str>,
    asks: Asks,
    /// Whether a rate of bytes is to be kept.
    pub(crate) counts_bytes: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asks {
    /// The right to the next request is still to be taken.
    None,
    /// It has been taken.
    Granted,
    /// When the request that is on its way was sent.
    Sent(Timestamp),
    /// The host is down: nothing is to be asked.
    Down,
}

impl Permit {
    /// Where the host is down, so that the source fails without being asked for: its refusals.
    pub(crate) fn down(&self) -> Option<u32> {
        let refusals = || self.hosts.table().hosts.get(&self.name).map_or(0, |host| host.refusals);
        (self.asks == Asks::Down).then(refusals)
    }

    /// Takes the right to the next request.
    ///
    /// # Errors
    ///
    /// The time from which there may be one.
    pub(crate) fn grant(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if !matches!(self.asks, Asks::Granted | Asks::Down) {
            let mut table = self.hosts.table();
            let ready = table.hosts.get(&self.name).map_or(Timestamp::default(), |host| table.ready_at(host));
            if ready > now {
                return Err(ready);
            }
            table.take_request(&self.name, now);
            self.asks = Asks::Granted;
        }
        Ok(())
    }

    /// Uses the right to a request that is sent now.
    ///
    /// # Errors
    ///
    /// The time from which there may be one.
    pub(crate) fn ask(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.grant(now)?;
        self.asks = Asks::Sent(now);
        Ok(())
    }

    /// The answer is no refusal. Its body is open for as long as what is returned.
    pub(crate) fn accepted(&mut self, now: Timestamp) -> OpenBody {
        let sent = self.sent(now);
        self.hosts.with(&self.name, |host, _| {
            (host.has_answered, host.refusals, host.down_until) = (true, 0, None);
            host.down_for = Duration::ZERO;
            host.touched = now;
            host.pace.accepted(now, sent, host.in_flight);
        });
        OpenBody { hosts: self.hosts.clone(), name: self.name.clone() }
    }

    /// The request for this address was refused.
    pub(crate) fn refused(&mut self, now: Timestamp, retry_after: Option<Duration>, url: &str) -> Refused {
        let sent = self.sent(now);
        self.hosts.with(&self.name, |host, politeness| {
            if !politeness.adapts {
                return Refused { is_hosts: false, is_down: false, until: now };
            }
            host.touched = now;
            let cut = host.pace.refused(now, sent);
            let is_learned = politeness.host_requests.is_none();
            if let (Cut::Rate, Some(rate), true) = (cut, host.pace.rate(), is_learned) {
                host.requests.refund(Rate::new(rate), sent, host.pace.borne());
            }
            if let Some(asked) = retry_after {
                host.blocked_until = host.blocked_until.max(now + asked);
            }
            let others = host.note_address(url);
            if host.refused_at.is_none_or(|last| sent >= last) {
                host.note_refusal(now, politeness.breaker_after);
            }
            let is_down = host.down_until.is_some();
            Refused { is_hosts: host.has_answered && others, is_down, until: host.blocked_until }
        })
    }

    /// When the request was sent that has been answered now.
    fn sent(&mut self, now: Timestamp) -> Timestamp {
        match mem::replace(&mut self.asks, Asks::None) {
            Asks::Sent(sent) => sent,
            _ => now,
        }
    }

    /// Bytes came, where they are counted.
    pub(crate) fn received(&self, now: Timestamp, bytes: u64) {
        let mut table = self.hosts.table();
        let Table { politeness, hosts, bytes: all, .. } = &mut *table;
        if let Some(rate) = politeness.bytes {
            all.take(rate, now, bytes);
        }
        if let (Some(rate), Some(host)) = (politeness.host_bytes, hosts.get_mut(&self.name)) {
            host.bytes.take(rate, now, bytes);
        }
    }

    /// The time before which no more bytes are wanted, if it is to come.
    pub(crate) fn bytes_wait(&self, now: Timestamp) -> Option<Timestamp> {
        let table = self.hosts.table();
        let all = table.politeness.bytes.map(|rate| table.bytes.ready_at(rate));
        let own = table.hosts.get(&self.name).zip(table.politeness.host_bytes);
        let own = own.map(|(host, rate)| host.bytes.ready_at(rate));
        all.max(own).filter(|ready| *ready > now)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.hosts.with(&self.name, |host, _| host.in_flight -= 1);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("host", &self.name).field("asks", &self.asks).finish_non_exhaustive()
    }
}

/// A body that is open, for as long as this lives.
pub(crate) struct OpenBody {
    hosts: Hosts,
    name: Arc<str>,
}

impl Drop for OpenBody {
    fn drop(&mut self) {
        self.hosts.with(&self.name, |host, _| host.pace.closed());
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("politeness", &self.table().politeness).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(hosts: &Hosts) -> Permit {
        let name = "mem://h".into();
        let mut cx = Context::from_waker(Waker::noop());
        match hosts.pick(Timestamp::default(), [(&name, Timestamp::default())].into_iter(), false, &mut cx) {
            Pick::Take(_, permit) => permit,
            _ => panic!("nothing is in the way"),
        }
    }

    #[test]
    fn refusals_of_two_addresses_are_the_hosts_whichever_window_asks() {
        let hosts = Hosts::default();
        let (mut one, mut other, now) = (permit(&hosts), permit(&hosts), Timestamp::default());
        drop(one.accepted(now));
        assert!(!one.refused(now, None, "mem://h/a").is_hosts, "one file alone may be what is refused");
        assert!(!one.refused(now, None, "mem://h/a").is_hosts);
        assert!(other.refused(now, None, "mem://h/b").is_hosts);
    }
}
