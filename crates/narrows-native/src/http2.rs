//! What errors of HTTP/2 mean. Without the feature `http2` there are none.

use std::error::Error as StdError;

use narrows_core::fetch::FetchErrorKind;

type Cause<'a> = &'a (dyn StdError + 'static);

#[cfg(feature = "http2")]
mod given {
    use super::{Cause, FetchErrorKind};

    /// The `io::Error` inside one of HTTP/2, which is not among its sources.
    pub(crate) fn wrapped(error: Cause<'_>) -> Option<Cause<'_>> {
        error.downcast_ref().and_then(h2::Error::get_io).map(|io| io as _)
    }

    /// The class of failure, if this is an error of HTTP/2.
    pub(crate) fn class(error: Cause<'_>) -> Option<FetchErrorKind> {
        let h2: &h2::Error = error.downcast_ref()?;
        let passing = [h2::Reason::NO_ERROR, h2::Reason::CANCEL, h2::Reason::REFUSED_STREAM];
        let passes = h2.is_io() || h2.reason().is_some_and(|reason| passing.contains(&reason));
        // What the library itself objects to is a breach of the protocol by the origin.
        Some(if h2.is_library() && !passes { FetchErrorKind::Protocol } else { FetchErrorKind::Interrupted })
    }

    /// Whether a body may have ended before its length. HTTP/2 says of that only that it breaks
    /// the protocol, as of other breaches.
    pub(crate) fn is_cut(error: Cause<'_>) -> bool {
        let cut = |h2: &h2::Error| h2.is_reset() && h2.is_library() && h2.reason() == Some(h2::Reason::PROTOCOL_ERROR);
        error.downcast_ref().is_some_and(cut)
    }
}

#[cfg(not(feature = "http2"))]
mod given {
    use super::{Cause, FetchErrorKind};

    pub(crate) fn wrapped(_: Cause<'_>) -> Option<Cause<'_>> {
        None
    }

    pub(crate) fn class(_: Cause<'_>) -> Option<FetchErrorKind> {
        None
    }

    pub(crate) fn is_cut(_: Cause<'_>) -> bool {
        false
    }
}

pub(crate) use given::{class, is_cut, wrapped};
