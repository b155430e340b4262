//! The interface without a runtime, from several threads.

use std::{io::Read, thread};

use narrows_core::{Budget, FailureKind, Options, testing::MemoryFetch};
use narrows_native::blocking;

fn served(count: u32) -> (MemoryFetch, Vec<String>) {
    let urls: Vec<String> = (0..count).map(|index| format!("mem://{index}")).collect();
    let fetch = urls.iter().fold(MemoryFetch::new(), |fetch, url| fetch.with(url.as_str(), vec![b'x'; 300_000]));
    (fetch, urls)
}

#[test]
fn files_are_read_on_other_threads_while_the_next_is_waited_for() {
    let (fetch, urls) = served(20);
    let budget = Budget::new(4 << 20);
    // With one place, the next file comes only when another thread has read the last.
    let files = blocking::iter(urls, fetch, &budget, Options::new().limit(1)).unwrap();
    let readers: Vec<_> = files
        .map(|mut file| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                (bytes.len(), file.finish().outcome.name())
            })
        })
        .collect();
    assert_eq!(readers.len(), 20);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), (300_000, "done"));
    }
}

#[test]
fn a_block_that_is_half_read_is_not_passed_over() {
    let (fetch, urls) = served(1);
    let budget = Budget::new(4 << 20);
    let mut files = blocking::iter(urls, fetch, &budget, Options::new()).unwrap();
    let mut file = files.next().unwrap();
    file.read_exact(&mut [0; 3]).unwrap();
    assert!(matches!(file.next_block().unwrap_err().kind, FailureKind::Misuse(_)));
    assert!(matches!(file.collect(1 << 20).unwrap_err().kind, FailureKind::Misuse(_)));
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 300_000 - 3);
}
