//! A server that answers as a test says, byte for byte.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What was asked for.
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// The request's head, in lower case.
    pub head: String,
    /// How often this path was asked for before.
    pub before: usize,
}

impl Asked {
    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(own, _)| own == name);
        self.head.lines().find(|line| of(line)).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }
}

/// Counts requests, by path.
type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

/// A server on 127.0.0.1 that answers one request on each connection. It lives as long as the test.
pub struct Served {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    counts: Counts,
}

impl Served {
    /// Answers every request with what `answer` makes: a whole response, after which the connection is closed.
    pub fn start(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("its address"));
        let counts = Counts::default();
        let (answer, own) = (Arc::new(answer), counts.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counts) = (answer.clone(), own.clone());
                thread::spawn(move || serve(stream, &*answer, &counts));
            }
        });
        Self { base, counts }
    }

    /// An address at it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Requests so far, by path.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.counts.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Vec<u8>, counts: &Counts) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let before = {
        let mut counts = counts.lock().expect("no panic");
        let count = counts.entry(path.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let _ = stream.write_all(&answer(&Asked { path, head: text.to_lowercase(), before }));
    // A close with something unread would reset the connection, and with it what was sent.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut buffer);
}

/// A response of this status line, headers (each with its line end) and body; the connection is closed after it.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").as_bytes(), body].concat()
}

/// 200 with a length.
pub fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}
