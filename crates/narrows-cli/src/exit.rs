//! How a command ends.

use std::{error::Error, io, path::Path, process::ExitCode};

use crate::storage::is_of_storage;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All sources are done or skipped.
    Success,
    /// Some failed.
    SomeFailed,
    /// `--assert-peak` did not hold.
    AssertionFailed,
    /// The output, the report or the journal could not be written.
    StorageFailed,
    /// Ctrl-C.
    Interrupted,
}

/// Exit status where a disk is full, read-only, broken or gone.
const STORAGE: u8 = 4;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::SomeFailed => 1,
            Exit::AssertionFailed => 3,
            Exit::StorageFailed => STORAGE,
            Exit::Interrupted => 130,
        })
    }
}

/// Exit status of what could not be begun.
const USAGE: u8 = 2;

/// What the command line asked for cannot be done.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Why, and what would help.
    pub(crate) text: String,
    /// The process's status.
    pub(crate) exit: u8,
}

impl Usage {
    pub(crate) fn new(text: String) -> Self {
        Self { text, exit: USAGE }
    }

    /// Something is wrong with this file. A disk that is full or read-only has its own status.
    pub(crate) fn at(path: &Path, error: &(impl Error + 'static)) -> Self {
        Self { text: format!("{}: {error}", path.display()), exit: status_of(error) }
    }
}

impl<E: Error + 'static> From<E> for Usage {
    fn from(error: E) -> Self {
        Self { text: error.to_string(), exit: status_of(&error) }
    }
}

fn status_of(error: &(impl Error + 'static)) -> u8 {
    let error = (error as &(dyn Error + 'static)).downcast_ref::<io::Error>();
    if error.is_some_and(is_of_storage) { STORAGE } else { USAGE }
}
