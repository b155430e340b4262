//! Versions of HTTP.

/// Which versions of HTTP are spoken.
///
/// No example: that of [`ClientOptions`](crate::ClientOptions) chooses one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1 only. The kernel's buffers grow with what the path needs, so distance costs no
    /// throughput and no memory of the budget.
    #[default]
    Http1,
    #[cfg(feature = "http2")]
    /// HTTP/2 where the origin offers it (ALPN), for origins that have nothing else or where
    /// connections are dear. Each transfer reserves [`ClientOptions::http2_window`](crate::ClientOptions::http2_window): what arrives in
    /// a round trip is at most that.
    Http2,
    #[cfg(feature = "http2")]
    /// HTTP/2 over plain connections, which the origin must expect.
    Http2PriorKnowledge,
}
