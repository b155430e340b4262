//! What may be in use, in numbers or by what there is.

use narrows::{guard::Guard, memory};

use crate::units::size;

/// Most transfers at once, and whether fewer are sought that do as well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limit {
    pub(crate) most: u32,
    pub(crate) adapts: bool,
}

/// Most transfers that are sought.
const AUTO_MOST: u32 = 50;

pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    if text == "auto" {
        return Ok(Limit { most: AUTO_MOST, adapts: true });
    }
    let most = text.parse().ok().filter(|most| (1..=100_000).contains(most));
    Ok(Limit { most: most.ok_or("expected a number from 1 to 100000, or auto")?, adapts: false })
}

pub(crate) fn budget(text: &str) -> Result<u64, String> {
    if text != "auto" {
        return size(text);
    }
    let (bytes, _) = memory::tightest().ok_or("what this machine has is not known; name a size")?;
    Ok(bytes / 2)
}

/// By what a job becomes smaller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MemoryLimit {
    /// The container's limit or the machine's memory.
    Auto,
    /// The container's limit.
    Container,
    /// What this process takes.
    Process(u64),
    None,
}

pub(crate) fn memory_limit(text: &str) -> Result<MemoryLimit, String> {
    match text {
        "auto" => Ok(MemoryLimit::Auto),
        "container" => Ok(MemoryLimit::Container),
        "none" => Ok(MemoryLimit::None),
        _ => size(text).map(MemoryLimit::Process),
    }
}

impl MemoryLimit {
    pub(crate) fn guard(self) -> Option<Guard> {
        match self {
            Self::Auto => memory::guard(true),
            Self::Container => memory::guard(false),
            Self::Process(bytes) => Some(memory::guard_within(bytes)),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_sought() {
        assert_eq!(limit("20"), Ok(Limit { most: 20, adapts: false }));
        assert_eq!(limit("auto"), Ok(Limit { most: 50, adapts: true }));
        assert!(limit("0").is_err() && limit("1000000").is_err() && limit("many").is_err());
    }

    #[test]
    fn budgets_are_sizes_or_half_of_what_there_is() {
        assert_eq!(budget("1MiB"), Ok(1 << 20));
        assert!(budget("auto").is_ok_and(|bytes| bytes > 1 << 20));
        assert_eq!(memory_limit("1GiB"), Ok(MemoryLimit::Process(1 << 30)));
        assert!(memory_limit("sometimes").is_err());
    }
}
