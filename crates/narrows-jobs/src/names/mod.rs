//! What the files of a run are called, and where they lie.
//!
//! Two ways in: [`Naming`] decides where nothing is said, and no two sources get one name; [`Layout`] follows
//! what the user says. Everything an address has is hostile: each part of it becomes one component of a
//! path that is harmless anywhere, and secrets of a query are in no name.
//!
//! * `address.rs`: an address, taken apart.
//! * `naming.rs`: names by what tells the sources of a list apart.
//! * `layout.rs`: names by a pattern.
//! * `glob.rs`: addresses by a pattern.

mod address;
mod glob;
mod layout;
mod naming;

pub use glob::glob;
pub use layout::{Known, Layout, LayoutError};
pub use naming::{EXACT_MAX, Naming, Place, SharedPlaces, is_contained, name_of, unpacked};
