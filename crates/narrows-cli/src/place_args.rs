//! Arguments of where files go, and of what is done where they are there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use narrows_jobs::names::Layout;

/// What files are called, and what is done where they are there.
#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// Where files go below the directory, with {host} {path} {dir} {name} {stem} {ext} {query} {index} {key}
    /// {date} {year} {month} {day} {entry} [default: the name while it is the only one of the list, else as
    /// much of the path as tells them apart]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["stdout", "discard", "output", "schema"])]
    pub(crate) layout: Option<Layout>,
    /// Short for --layout {host}/{path}
    #[arg(long, short = 'x', conflicts_with_all = ["layout", "stdout", "discard", "output", "schema"])]
    pub(crate) mirror: bool,
    /// What is done where a file is there that no journal knows
    #[arg(long, default_value = "verify", conflicts_with_all = ["stdout", "discard", "schema"])]
    pub(crate) exists: Exists,
    /// Keep what is done in this file, so that the same command again fetches the rest only [default with --out:
    /// DIR/.narrows-journal-.., for a list that can be read twice]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stdout", "discard", "output", "schema"])]
    pub(crate) journal: Option<PathBuf>,
    /// Keep no journal
    #[arg(long, conflicts_with = "journal")]
    pub(crate) no_journal: bool,
}

/// What is done where a file is there already that no journal knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Exists {
    /// It is kept if the list gives its size and a digest, and it has them; fetched anew otherwise
    Verify,
    /// It is kept, whatever it is
    Skip,
    /// It is fetched anew, and so is what a journal says is done
    Overwrite,
    /// Its source fails
    Fail,
}
