//! What reading a delivery gives, beside blocks: streams, readers, lines, whole files.

pub use crate::{
    blocks::{Blocks, Reader},
    delivery::Piece,
    lease::Collected,
    lines::Lines,
};
