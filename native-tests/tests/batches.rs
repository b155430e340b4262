//! Batches to a real HTTP endpoint that fails, stalls, answers for part, and is gone for a while: every
//! item arrives, none twice but under its own number, in memory that does not grow meanwhile.
//!
//! `NARROWS_DOWN_SECONDS=60` keeps it away for a minute, rather than for three seconds.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use narrows::{
    Budget, DefaultClock,
    batch::{BatchOptions, Batches, Ended, Item, Settled},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ITEMS: u64 = 100_000;

/// What the endpoint has, by idempotency key: how often each came.
type Stored = Arc<Mutex<BTreeMap<u64, u32>>>;

/// Takes bodies of one number a line; answers with the numbers that it took.
fn serve(listener: TcpListener, stored: Stored, is_up: Arc<AtomicBool>) {
    let mut calls = 0u64;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if !is_up.load(Relaxed) {
            return; // and the port with it
        }
        calls += 1;
        let stored = stored.clone();
        thread::spawn(move || answer(stream, calls, &stored));
    }
}

fn answer(mut stream: TcpStream, call: u64, stored: &Mutex<BTreeMap<u64, u32>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let numbers: Vec<u64> = String::from_utf8(body).ok()?.lines().map(|line| line.parse().expect("a number")).collect();
    let store = |numbers: &[u64]| {
        let mut stored = stored.lock().unwrap();
        numbers.iter().for_each(|number| *stored.entry(*number).or_default() += 1);
    };
    let mut reply = |status: &str, numbers: &[u64]| {
        let body: String = numbers.iter().map(|number| format!("{number}\n")).collect();
        let _ =
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    };
    match call % 13 {
        3 => reply("500 Internal Server Error", &[]),
        5 => {
            let part = &numbers[..numbers.len() * 7 / 10];
            store(part);
            reply("200 OK", part);
        }
        7 => {
            store(&numbers); // and nobody learns of it
            thread::sleep(Duration::from_secs(2));
        }
        9 => reply("503 Service Unavailable", &[]),
        _ => {
            store(&numbers);
            reply("200 OK", &numbers);
        }
    }
    Some(())
}

/// Posts numbers; gives the status and the numbers that were taken.
async fn post(to: SocketAddr, numbers: &[u64]) -> std::io::Result<(u16, Vec<u64>)> {
    let body: String = numbers.iter().map(|number| format!("{number}\n")).collect();
    let mut stream = tokio::net::TcpStream::connect(to).await?;
    let head = format!("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.lines().filter_map(|line| line.parse().ok()).collect()))
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_arrives_whatever_the_endpoint_does() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let (stored, is_up) = (Stored::default(), Arc::new(AtomicBool::new(true)));
    let serving = (stored.clone(), is_up.clone());
    thread::spawn(move || serve(listener, serving.0, serving.1));

    let lost = Arc::new(Mutex::new(Vec::new()));
    let losing = lost.clone();
    let observer = move |ended: Ended<u64>| {
        if ended.end.name() != "delivered" {
            losing.lock().unwrap().push((ended.value, ended.end));
        }
    };
    let budget = Budget::new(1 << 20);
    let options = BatchOptions::new()
        .batch_items(200)
        .in_flight_max(4)
        .attempts_max(10)
        .backoff_min(Duration::from_millis(10))
        .breaker_for(Duration::from_millis(100));
    let batches = Batches::open(DefaultClock::new(), &budget, options, observer).await.unwrap();

    let pushing = batches.clone();
    let producer = tokio::spawn(async move {
        for number in 0..ITEMS {
            pushing.push(Item::new(number, 64)).await.unwrap();
        }
        pushing.close();
    });
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let batches = batches.clone();
            tokio::spawn(async move {
                while let Some(batch) = batches.next_batch().await {
                    let numbers: Vec<u64> = batch.iter().map(|item| *item.value()).collect();
                    match tokio::time::timeout(Duration::from_secs(1), post(to, &numbers)).await {
                        Ok(Ok((200, taken))) => batch.settle(|item| match taken.contains(item.value()) {
                            true => Settled::Delivered,
                            false => Settled::Retry("not taken this time".into()),
                        }),
                        Ok(Ok((500, _))) => batch.retry("500"),
                        Ok(Ok(_) | Err(_)) | Err(_) => batch.unavailable(None),
                    }
                }
            })
        })
        .collect();

    // It goes away while much is still to come, and nothing grows.
    while batches.stats().delivered < ITEMS / 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_up.store(false, Relaxed);
    let _ = TcpStream::connect(to); // the last one that is answered
    let down_for = env::var("NARROWS_DOWN_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (before, since) = (resident(), Instant::now());
    let mut most = before;
    while since.elapsed() < Duration::from_secs(down_for) {
        most = most.max(resident());
        let stats = batches.stats();
        assert!(stats.items <= 1000 && stats.bytes <= budget.reserved(), "{stats:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("down for {down_for} s: {before} bytes resident before, {most} at most; {}", batches.stats());
    assert!(most <= before + (2 << 20), "{before} bytes before, {most} while it was down");
    let listener = loop {
        match TcpListener::bind(to) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    is_up.store(true, Relaxed);
    let serving = (stored.clone(), is_up.clone());
    thread::spawn(move || serve(listener, serving.0, serving.1));

    producer.await.unwrap();
    for sender in senders {
        sender.await.unwrap();
    }
    let stats = batches.stats();
    assert_eq!((stats.delivered, lost.lock().unwrap().len()), (ITEMS, 0), "{stats:?}");
    let stored = stored.lock().unwrap();
    assert_eq!(stored.len() as u64, ITEMS, "each under its own number");
    let twice = stored.values().filter(|times| **times > 1).count();
    eprintln!("{twice} of {ITEMS} came twice, under the number they had; {} attempts", stats.attempts);
    drop(batches);
    assert_eq!(budget.reserved(), 0);
}
