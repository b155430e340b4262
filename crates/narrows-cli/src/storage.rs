//! When an output can take no more: the disk is full, read-only, broken or gone.

use std::{io, path::Path};

use narrows::Source;

use crate::units::human;

/// EIO, which has no kind of its own.
const INPUT_OUTPUT: i32 = 5;

/// Whether an error is the disk's, and would be the next source's, too.
pub(crate) fn is_of_storage(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StaleNetworkFileHandle, StorageFull};
    let kinds = [FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StaleNetworkFileHandle, StorageFull];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(INPUT_OUTPUT)
}

/// Whether an error of writing below `root` is: also where that is no longer there.
pub(crate) fn is_of_storage_at(root: Option<&Path>, error: &io::Error) -> bool {
    is_of_storage(error) || (error.kind() == io::ErrorKind::NotFound && root.is_some_and(|root| !root.is_dir()))
}

/// The same error for one more who is to hear of it.
pub(crate) fn same(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Bytes that may still be written there, if that can be told.
pub(crate) fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What is told of an output that can take no more; `declared` is how long the source is, if that is known.
pub(crate) fn explain(root: Option<&Path>, error: &io::Error, source: &Source, declared: Option<u64>) -> String {
    let place = root.map_or_else(|| "stdout".into(), |root| root.display().to_string());
    let needed = match (root.and_then(free), declared) {
        (Some(free), Some(needed)) => {
            format!(" ({} free, {} has {})", human(free), source.public_url(), human(needed))
        }
        (Some(free), None) => format!(" ({} free)", human(free)),
        _ => String::new(),
    };
    let kept = match root {
        Some(_) => "what is done is kept: make room, and give the same command again",
        None => "what was written is not known to be whole",
    };
    format!("{place}: {error}{needed}: nothing more is begun; {kept}")
}

/// An error if less than that is free.
pub(crate) fn check_free(path: &Path, min: u64) -> io::Result<()> {
    match free(path) {
        Some(free) if free < min => {
            let text = format!("{} are free, less than --min-free {}", human(free), human(min));
            Err(io::Error::new(io::ErrorKind::StorageFull, text))
        }
        _ => Ok(()),
    }
}
