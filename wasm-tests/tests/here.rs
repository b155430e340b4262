//! The suite in Node, or in a page where the runner is told to use a browser.
#![cfg(target_arch = "wasm32")]

mod suite;
