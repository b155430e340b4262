//! What of a source goes where.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use narrows::Source;
use narrows_jobs::{
    calendar::Day,
    names::{Known, Layout, Naming, Place, is_contained},
};

/// Decides the places of sources.
pub(crate) enum Places {
    /// By what tells them apart.
    Named(Naming),
    /// The same of a list that is read once: each source is noted when it is.
    Streamed(Mutex<Naming>),
    /// As the user says.
    Layout { layout: Layout, today: Day, unpacks: bool },
    /// The only source is the file of this name.
    One(String),
}

impl Places {
    /// Sources of the list, where it was read for their names.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Self::Named(naming) => naming.count(),
            Self::Streamed(_) | Self::Layout { .. } | Self::One(_) => None,
        }
    }

    /// A source of a streamed list, in the list's order.
    pub(crate) fn note(&self, index: u64, source: &Source) {
        if let Self::Streamed(naming) = self {
            naming.lock().unwrap_or_else(PoisonError::into_inner).note(index, &source.url);
        }
    }

    /// Where the files of a source go; `index` is its place in the list.
    pub(crate) fn of(&self, index: u64, source: &Source) -> io::Result<Place> {
        // A name that the list gives, unless a layout says where that goes.
        if let (Some(name), Self::Named(_) | Self::Streamed(_)) = (&source.key, self) {
            if !is_contained(name) {
                return Err(io::Error::other(format!("the name {name:?} would leave the output directory")));
            }
            return Ok(Place { path: name.to_string(), folder: name.to_string(), alone: None });
        }
        Ok(match self {
            Self::Named(naming) => naming.place(index, &source.url),
            Self::Streamed(naming) => naming.lock().unwrap_or_else(PoisonError::into_inner).place(index, &source.url),
            Self::Layout { layout, today, unpacks } => {
                let known = Known { index, key: source.key.as_deref(), today: *today };
                layout.place(&source.url, &known, *unpacks).map_err(io::Error::other)?
            }
            Self::One(name) => Place { path: name.clone(), folder: name.clone(), alone: Some(String::new()) },
        })
    }
}
