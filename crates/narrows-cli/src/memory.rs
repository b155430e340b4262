//! What the process and its machine have, as Linux tells it; elsewhere nothing is known.

use std::fs;

/// Most memory the process has had resident, in bytes.
pub(crate) fn peak_rss() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What process `id` has resident now, in bytes.
pub(crate) fn rss_of(id: u32) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, "VmRSS:")
}

/// A field of kibibytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
