//! How a command ends.

use std::{fmt, path::Path, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All sources are done or skipped.
    Success,
    /// Some failed.
    SomeFailed,
    /// `--assert-peak` did not hold.
    AssertionFailed,
    /// Ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::SomeFailed => 1,
            Exit::AssertionFailed => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Exit status of what could not be begun.
pub(crate) const USAGE: u8 = 2;

/// What the command line asked for cannot be done; the text says why, and what would help.
pub(crate) struct Usage(pub(crate) String);

impl Usage {
    /// Something is wrong with this file.
    pub(crate) fn at(path: &Path, error: &dyn fmt::Display) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl<E: std::error::Error> From<E> for Usage {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
