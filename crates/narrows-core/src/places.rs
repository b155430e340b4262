//! Places for bodies on connections that they share.
//!
//! Over HTTP/2 many bodies share a connection and its flow control window. A body that nobody reads
//! keeps its share of that, so a connection whose window is full of bodies at rest would starve the
//! others, and an honest origin would look dead. So a connection has places for a fixed number of
//! bodies, and a window large enough for all of them; who finds no place gets another connection,
//! whichever windows the bodies belong to.

use std::{mem, sync::Arc};

/// Connections, each with so many places.
///
/// ```
/// use narrows_core::places::Places;
///
/// let mut places = Places::new("first", 2);
/// let (one, _place) = places.take(|| None);
/// let (same, _other_place) = places.take(|| None);
/// let (another, _third_place) = places.take(|| Some("second"));
/// assert_eq!((one, same, another), ("first", "first", "second"));
/// ```
#[derive(Debug)]
pub struct Places<T> {
    /// Never empty; those behind the first have at least one body.
    connections: Vec<Connection<T>>,
    per_connection: usize,
}

#[derive(Debug)]
struct Connection<T> {
    of: T,
    /// One handle of it is here, and one with each body.
    bodies: Arc<()>,
}

/// A place for a body, given back by drop.
///
/// No example: see [`Places`].
#[derive(Debug)]
#[must_use = "a place is held for as long as the body lives"]
pub struct Place(#[expect(dead_code, reason = "it counts as long as it lives")] Arc<()>);

impl<T: Clone> Places<T> {
    /// One connection for now. Each has `per_connection` places, at least one.
    pub fn new(first: T, per_connection: usize) -> Self {
        let connections = vec![Connection { of: first, bodies: Arc::new(()) }];
        Self { connections, per_connection: per_connection.max(1) }
    }

    /// A connection with a place for one more body: of those there are, or what `make` gives. Where
    /// that fails, the first takes one more than it has places for.
    pub fn take(&mut self, make: impl FnOnce() -> Option<T>) -> (T, Place) {
        let most = self.per_connection;
        let free = self.connections.iter().position(|connection| Arc::strong_count(&connection.bodies) <= most);
        let at = free.unwrap_or_else(|| match make() {
            Some(of) => {
                self.connections.push(Connection { of, bodies: Arc::new(()) });
                self.connections.len() - 1
            }
            None => 0,
        });
        let Connection { of, bodies } = &self.connections[at];
        let taken = (of.clone(), Place(bodies.clone()));
        // Whoever is left without bodies goes, but for the first.
        let mut is_first = true;
        self.connections.retain(|one| mem::take(&mut is_first) || Arc::strong_count(&one.bodies) > 1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_free_and_connections_go() {
        let mut places = Places::new(0, 2);
        let held: Vec<_> = (1..=5).map(|next| places.take(|| Some(next))).collect();
        let of: Vec<_> = held.iter().map(|(of, _)| *of).collect();
        assert_eq!(of, [0, 0, 3, 3, 5]);
        drop(held);
        assert_eq!(places.take(|| None).0, 0);
        assert_eq!(places.connections.len(), 1, "the others have no bodies");
    }
}
