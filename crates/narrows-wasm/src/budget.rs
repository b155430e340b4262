//! A budget that several streams may share.

use narrows_core::Budget;
use wasm_bindgen::prelude::wasm_bindgen;

/// Bytes that may be in use.
#[wasm_bindgen]
pub struct RawBudget(pub(crate) Budget);

#[wasm_bindgen]
impl RawBudget {
    /// A budget of so many bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: f64) -> Self {
        // The cast saturates: what is no number is no bytes.
        Self(Budget::new(bytes as u64))
    }

    /// Bytes reserved now.
    pub fn reserved(&self) -> f64 {
        self.0.reserved() as f64
    }

    /// Most bytes that were ever reserved.
    pub fn peak(&self) -> f64 {
        self.0.peak() as f64
    }
}
