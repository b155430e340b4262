//! Spans and events have stable names, and no secrets. Run with `--features tracing`.
#![cfg(feature = "tracing")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use futures_util::{FutureExt, StreamExt};
use narrows_core::{
    Budget, Options, Window,
    testing::{Fault, MemoryFetch, SkippingClock},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Writes down names and fields.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<String>>>, Arc<AtomicU64>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Written {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(format!("span {}", span.metadata().name()));
        span.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
        Id::from_u64(self.1.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(format!("event {}", event.metadata().name()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn what_happens_to_a_source_is_told() {
    let written = Written::default();
    let _guard = tracing::subscriber::set_default(written.clone());
    let url = "mem://user:S3CRET@host/a?S3CRET";
    let fetch = MemoryFetch::new().with(url, *b"hello").with_fault(url, Fault::Reset { after: 2, times: 1 });
    let budget = Budget::new(8 << 20);
    let mut window = Window::from_iter([url], fetch, SkippingClock::new(), &budget, Options::new()).unwrap();
    let mut file = window.next().now_or_never().flatten().unwrap();
    while file.next_block().now_or_never().unwrap().unwrap().is_some() {}
    file.finish();
    let lines = written.0.lock().unwrap().clone();
    let starts = ["span source", "span attempt", "event exchange", "event answer", "event failed", "span attempt"];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{lines:#?}");
    }
    assert!(lines[0].contains("index=0") && lines[0].contains("mem://host/a"), "{}", lines[0]);
    assert!(lines[4].contains("code=\"interrupted\""), "{}", lines[4]);
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("event ended") && last.contains("outcome=\"done\"") && last.contains("attempts=2"),
        "{last}"
    );
    assert!(!lines.concat().contains("S3CRET"), "{lines:#?}");
}
