//! What the process and its machine have, as Linux tells it; elsewhere nothing is known.

use std::{fs, path::Path};

/// Most memory the process has had resident, in bytes.
pub(crate) fn peak_rss() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What process `id` has resident now, in bytes.
pub(crate) fn rss_of(id: u32) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, "VmRSS:")
}

/// The memory there is: the tightest limit of the process's control groups, or the machine's.
pub(crate) fn available() -> Option<(u64, &'static str)> {
    let machine = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    match cgroup_limit() {
        Some(limit) if limit < machine => Some((limit, "container")),
        _ => Some((machine, "machine")),
    }
}

/// The least `memory.max` from the process's group up to the root (cgroup v2).
fn cgroup_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(own);
    let ancestors = own.ancestors().take_while(|path| path.starts_with(root));
    ancestors.filter_map(|path| fs::read_to_string(path.join("memory.max")).ok()?.trim().parse().ok()).min()
}

/// A field of kibibytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
