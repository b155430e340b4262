//! The locks whose orderings are explored by loom: `scripts/loom.sh` builds the crate with `--cfg
//! narrows_loom` and runs the tests in `loom_tests.rs`. Otherwise they are the standard library's.

#[cfg(narrows_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(narrows_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};
