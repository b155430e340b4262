//! What reading a delivery gives, beside blocks: streams, readers, lines, whole files.

pub use crate::{
    blocks::{Blocks, Reader},
    lease::Collected,
    lines::Lines,
};
