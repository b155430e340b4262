//! Memory as Linux tells of it: limits of control groups (v1 and v2) and of the machine, and what is in
//! use of them. Elsewhere nothing is known, and a guard does nothing.
//!
//! What counts is memory that cannot be dropped: anonymous pages. The page cache never does; a process
//! that writes a large file would look full. But where reading it again and again keeps tasks waiting,
//! the kernel says so (pressure stall information), and that counts as little room.

use std::{
    fs,
    path::{Path, PathBuf},
};

use narrows_core::guard::{Guard, Reading};

/// Where a limit comes from.
///
/// ```
/// assert_eq!(narrows_native::memory::Whose::Container.name(), "container");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// A control group of the process, or one above it.
    Container,
    /// The machine has no more.
    Machine,
}

impl Whose {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Machine => "machine",
        }
    }
}

/// The memory there is, in bytes: the tightest limit of the process's control groups, or what the
/// machine has.
///
/// ```
/// if let Some((bytes, whose)) = narrows_native::memory::tightest() {
///     println!("the {} has {bytes} bytes", whose.name());
/// }
/// ```
pub fn tightest() -> Option<(u64, Whose)> {
    let machine = field(&read("/proc/meminfo")?, "MemTotal:");
    let container = groups().into_iter().map(|group| group.limit).min();
    match (container, machine) {
        (Some(container), Some(machine)) if container >= machine => Some((machine, Whose::Machine)),
        (Some(container), _) => Some((container, Whose::Container)),
        (None, machine) => Some((machine?, Whose::Machine)),
    }
}

/// A guard over the limits of the process's control groups and, with `machine`, over what the machine
/// has. `None` where there is no limit to be guarded.
///
/// ```
/// use narrows_core::Options;
///
/// let options = Options::new().guard(narrows_native::memory::guard(true));
/// # let _ = options;
/// ```
pub fn guard(machine: bool) -> Option<Guard> {
    let groups = groups();
    let is_limited = machine || !groups.is_empty();
    is_limited.then(|| guard_over(groups, move |resident| machine.then(|| machine_use(resident)).flatten()))
}

/// A guard that keeps this process within so many bytes, and within the limits of its control groups.
///
/// ```
/// use narrows_core::Options;
///
/// let options = Options::new().guard(narrows_native::memory::guard_within(256 << 20));
/// # let _ = options;
/// ```
pub fn guard_within(bytes: u64) -> Guard {
    guard_over(groups(), move |resident| {
        (resident > 0).then_some(Reading { used: resident, limit: bytes, resident, stalled: 0 })
    })
}

/// A guard over control groups and another limit, given what this process has.
fn guard_over(groups: Vec<Group>, other: impl Fn(u64) -> Option<Reading> + Send + 'static) -> Guard {
    Guard::new(move || {
        let resident = resident().unwrap_or(0);
        let readings = groups.iter().filter_map(|group| group.read(resident)).chain(other(resident));
        // The limit of which the largest part is in use, and the longest wait of any.
        readings.reduce(|one, other| {
            let tighter = if other.part() >= one.part() { other } else { one };
            Reading { stalled: one.stalled.max(other.stalled), ..tighter }
        })
    })
}

/// Most memory this process has had resident, in bytes.
///
/// ```
/// # if cfg!(target_os = "linux") {
/// assert!(narrows_native::memory::peak_resident().is_some_and(|bytes| bytes > 0));
/// # }
/// ```
pub fn peak_resident() -> Option<u64> {
    field(&read("/proc/self/status")?, "VmHWM:")
}

/// What the process of this id has resident now, in bytes.
///
/// ```
/// # if cfg!(target_os = "linux") {
/// assert!(narrows_native::memory::resident_of(std::process::id()).is_some_and(|bytes| bytes > 0));
/// # }
/// ```
pub fn resident_of(id: u32) -> Option<u64> {
    field(&read(&format!("/proc/{id}/status"))?, "VmRSS:")
}

/// Anonymous and shared memory of this process.
fn resident() -> Option<u64> {
    let status = read("/proc/self/status")?;
    Some(field(&status, "RssAnon:")? + field(&status, "RssShmem:").unwrap_or(0))
}

fn machine_use(resident: u64) -> Option<Reading> {
    let text = read("/proc/meminfo")?;
    let total = field(&text, "MemTotal:")?;
    let used = total.saturating_sub(field(&text, "MemAvailable:")?);
    let stalled = stalled(Path::new("/proc/pressure/memory"));
    Some(Reading { used, limit: total, resident, stalled })
}

/// A control group that has a limit.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Group {
    limit: u64,
    stat: PathBuf,
    /// What its anonymous memory is called there.
    name: &'static str,
    /// Where its tasks' waiting for memory is told, in the second version.
    pressure: PathBuf,
}

impl Group {
    fn read(&self, resident: u64) -> Option<Reading> {
        Some(Reading { used: self.used()?, limit: self.limit, resident, stalled: stalled(&self.pressure) })
    }

    fn used(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.stat).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(self.name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }
}

/// The groups with a limit, from the process's own up to the root, of both versions.
fn groups() -> Vec<Group> {
    let (Some(own), Some(mounts)) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo")) else {
        return Vec::new();
    };
    find_groups(&own, &mounts)
}

fn find_groups(own: &str, mounts: &str) -> Vec<Group> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let is_second = id == "0" && controllers.is_empty();
        if !is_second && !controllers.split(',').any(|controller| controller == "memory") {
            continue;
        }
        let Some((root, mounted)) = mounts.lines().find_map(|line| mount_of(line, is_second)) else { continue };
        // In a container the path may be that outside of it; then the mount is its own group.
        let below = path.strip_prefix(root).unwrap_or(if root == "/" { path } else { "" }).trim_start_matches('/');
        let (limit, name) = match is_second {
            true => ("memory.max", "anon"),
            false => ("memory.limit_in_bytes", "total_rss"),
        };
        let mounted = Path::new(mounted);
        for group in mounted.join(below).ancestors().take_while(|group| group.starts_with(mounted)) {
            let text = fs::read_to_string(group.join(limit)).unwrap_or_default();
            // The first version says "none" with a number near the largest.
            if let Some(limit) = text.trim().parse().ok().filter(|limit| *limit < 1 << 60) {
                let (stat, pressure) = (group.join("memory.stat"), group.join("memory.pressure"));
                found.push(Group { limit, stat, name, pressure });
            }
        }
    }
    found
}

/// Of a line of `mountinfo`: the root and the place of a mount of the memory controller.
fn mount_of(line: &str, is_second: bool) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, mounted) = (fields.next()?, fields.next()?);
    let mut kinds = after.split(' ');
    let (kind, options) = (kinds.next()?, kinds.nth(1).unwrap_or_default());
    let is_it = match is_second {
        true => kind == "cgroup2",
        false => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
    };
    is_it.then_some((root, mounted))
}

/// Of 1,000 moments of the last ten seconds, those in which some task waited for memory; none where
/// that is not told.
fn stalled(pressure: &Path) -> u16 {
    let text = fs::read_to_string(pressure).unwrap_or_default();
    let percent =
        text.lines().find_map(|line| line.strip_prefix("some avg10=")?.split(' ').next()?.parse::<f32>().ok());
    (percent.unwrap_or(0.0).clamp(0.0, 100.0) * 10.0).round() as u16
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A field of kibibytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_second_version_has_limits_at_every_level() {
        let files = [
            ("a/memory.max", "max\n"),
            ("a/b/memory.max", "67108864\n"),
            ("a/b/c/memory.max", "max\n"),
            ("a/b/memory.stat", "anon 1000\nfile 5000\n"),
            ("a/b/memory.pressure", "some avg10=41.20 avg60=3.00 avg300=0.10 total=9\nfull avg10=1.00\n"),
        ];
        let folder = tree(&files);
        let at = folder.path().display();
        let mounts = format!("30 23 0:26 / {at} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
        let groups = find_groups("0::/a/b/c\n", &mounts);
        assert_eq!(groups.iter().map(|group| group.limit).collect::<Vec<_>>(), [64 << 20]);
        let reading = Reading { used: 1000, limit: 64 << 20, resident: 7, stalled: 412 };
        assert_eq!(groups[0].read(7), Some(reading), "no page cache");
    }

    #[test]
    fn the_first_version_has_a_mount_of_its_own() {
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/x/memory.limit_in_bytes", "31457280\n"),
            ("memory/x/memory.stat", "cache 7\nrss 3\ntotal_cache 70\ntotal_rss 30\n"),
        ];
        let folder = tree(&files);
        let at = folder.path().display();
        let mounts = format!(
            "31 23 0:27 / {at}/cpu rw - cgroup cgroup rw,cpu\n32 23 0:28 / {at}/memory rw - cgroup cgroup rw,memory\n"
        );
        let groups = find_groups("9:name=systemd:/\n4:memory:/x\n0::/\n", &mounts);
        let reading = Reading { used: 30, limit: 30 << 20, resident: 7, stalled: 0 };
        assert_eq!(
            groups.iter().map(|group| group.read(7)).collect::<Vec<_>>(),
            [Some(reading)],
            "no pressure is told"
        );
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let folder = tree(&[("memory.max", "1048576\n")]);
        let at = folder.path().display();
        let mounts = format!("30 23 0:26 /docker/1234 {at} rw - cgroup2 cgroup rw\n");
        assert_eq!(find_groups("0::/docker/1234\n", &mounts)[0].limit, 1 << 20);
        assert_eq!(find_groups("0::/elsewhere\n", &mounts)[0].limit, 1 << 20);
    }

    #[test]
    fn this_machine_has_memory() {
        let (bytes, _) = tightest().unwrap();
        assert!(bytes > 1 << 20);
        assert!(resident().unwrap() > 0);
    }
}
