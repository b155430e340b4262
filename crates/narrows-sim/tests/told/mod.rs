//! Keeps what a window tells its observers.

use std::sync::{Arc, Mutex};

use narrows_core::{Observer, Report, guard::Steering, report::Stall};

#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) reports: Arc<Mutex<Vec<Report>>>,
    pub(crate) stalls: Arc<Mutex<Vec<Stall>>>,
    pub(crate) steerings: Arc<Mutex<Vec<Steering>>>,
}

impl Observer for Told {
    fn ended(&self, report: &Report) {
        self.reports.lock().unwrap().push(report.clone());
    }

    fn stalled(&self, stall: &Stall) {
        self.stalls.lock().unwrap().push(stall.clone());
    }

    fn steered(&self, steering: &Steering) {
        self.steerings.lock().unwrap().push(steering.clone());
    }
}
