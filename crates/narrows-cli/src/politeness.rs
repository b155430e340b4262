//! What may be asked of hosts: options, and what they mean.

use clap::Args;
use narrows::{
    hosts::{Hosts, Politeness},
    rate::Rate,
};

use crate::units::size;

#[derive(Args)]
pub(crate) struct PolitenessArgs {
    /// Most transfers of each host at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) host_limit: Option<u32>,
    /// Most requests a second to each host, with fractions; :BURST lets so many go at once
    #[arg(long, value_name = "N[:BURST]", value_parser = rate)]
    pub(crate) rate: Option<Rate>,
    /// Most requests a second to all hosts together
    #[arg(long, value_name = "N[:BURST]", value_parser = rate)]
    pub(crate) total_rate: Option<Rate>,
    /// Most bytes a second, from all hosts together
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit_rate: Option<u64>,
    /// As for strangers' pages and feeds: --rate 0.5:2 --host-limit 2
    #[arg(long)]
    pub(crate) polite: bool,
}

/// Bytes that may come at once where their rate is bounded: an eighth of a second, and no less than
/// a read.
fn burst(bytes: u64) -> u32 {
    u32::try_from((bytes / 8).max(64 << 10)).unwrap_or(u32::MAX)
}

impl PolitenessArgs {
    pub(crate) fn hosts(&self) -> Hosts {
        let mut politeness = if self.polite { Politeness::polite() } else { Politeness::new() };
        if let Some(rate) = self.rate {
            politeness = politeness.host_requests(rate);
        }
        if let Some(bodies) = self.host_limit {
            politeness = politeness.host_bodies(bodies as usize);
        }
        let bytes = self.limit_rate.map(|bytes| Rate::new(bytes as f64).burst(burst(bytes)));
        Hosts::new(politeness.requests(self.total_rate).bytes(bytes))
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    let (number, burst) = text.split_once(':').unwrap_or((text, "1"));
    let per_second: f64 = number.parse().map_err(|_| "expected a number, as 10 or 0.5")?;
    let burst = burst.parse().ok().filter(|burst| *burst > 0).ok_or("expected a burst of at least 1, as in 10:5")?;
    match per_second > 0.0 && per_second.is_finite() {
        true => Ok(Rate::new(per_second).burst(burst)),
        false => Err("a rate must be above 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_above_zero_with_a_burst() {
        assert_eq!(rate("0.5:2"), Ok(Rate::new(0.5).burst(2)));
        assert_eq!(rate("10"), Ok(Rate::new(10.0)));
        for wrong in ["", "0", "-1", "inf", "nan", "1:0", "1:x", "ten"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
