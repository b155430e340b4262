//! Each class of failure on a real socket: told by type, retried or not, once or as often as allowed.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures_util::StreamExt;
use narrows::{Budget, Client, ClientOptions, DefaultClock, Failure, Options, Outcome, Protocol, RetryPolicy, Window};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{ServerConfig, ServerConnection, pki_types::PrivateKeyDer};

/// A server that does the same with every connection; it counts them.
struct Server {
    address: String,
    connections: Arc<AtomicU32>,
}

fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicU32::new(0));
    let (counter, answer) = (connections.clone(), Arc::new(answer));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Relaxed);
            let answer = answer.clone();
            thread::spawn(move || answer(stream));
        }
    });
    Server { address, connections }
}

/// Reads a request's head, then writes `response` and closes.
fn respond(mut stream: TcpStream, response: &[u8]) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let _ = stream.write_all(response);
}

/// Downloads and gives the failure, with two retries if it is retried.
async fn failure_of(url: &str, options: ClientOptions) -> Failure {
    let client = Client::new(options).unwrap();
    let soon = Duration::from_millis(5);
    let options = Options::new().retry(RetryPolicy::new().retries_max(2).backoff_min(soon).backoff_max(soon));
    let budget = Budget::new(32 << 20);
    let mut window = Window::from_iter([url], client, DefaultClock::new(), &budget, options).unwrap();
    let mut delivery = window.next().await.unwrap();
    while let Ok(Some(_)) = delivery.next_block().await {}
    match delivery.finish().outcome {
        Outcome::Failed(failure) => *failure,
        other => panic!("{url}: {other:?}"),
    }
}

fn assert_class(failure: &Failure, code: &str) {
    assert_eq!(failure.kind.code(), code, "{failure}");
    let retried = matches!(code, "connect" | "dns" | "refused" | "proxy" | "interrupted");
    assert_eq!((failure.retryable(), failure.attempts), (retried, if retried { 3 } else { 1 }), "{failure}");
}

/// A certificate for `name`, valid from and until these years, as server and as authority.
fn certificate(name: &str, from: i32, until: i32) -> (ServerConfig, Vec<u8>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    (config, certificate.pem().into_bytes())
}

fn tls(config: ServerConfig) -> Server {
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut connection = ServerConnection::new(config.clone()).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return;
            }
        }
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.flush();
    })
}

#[tokio::test]
async fn refusals_of_tls_are_not_retried() {
    let (config, _) = certificate("127.0.0.1", 2020, 2100);
    let unknown = tls(config);
    assert_class(&failure_of(&format!("https://{}/", unknown.address), ClientOptions::new()).await, "tls");
    assert_eq!(unknown.connections.load(Relaxed), 1, "asked once");

    let (config, authority) = certificate("127.0.0.1", 2020, 2021);
    let expired = tls(config);
    let trusting = ClientOptions::new().authorities(authority);
    assert_class(&failure_of(&format!("https://{}/", expired.address), trusting).await, "tls");

    let (config, authority) = certificate("example.com", 2020, 2100);
    let other = tls(config);
    let trusting = ClientOptions::new().authorities(authority);
    assert_class(&failure_of(&format!("https://{}/", other.address), trusting).await, "tls");

    // What a server of TLS 1.1 answers: the alert `protocol_version`.
    let old = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, 70]);
    });
    assert_class(&failure_of(&format!("https://{}/", old.address), ClientOptions::new()).await, "tls");

    // One that has HTTP/2 only: the alert `no_application_protocol`. The message says what helps.
    let only_http2 = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 120]);
    });
    let failure = failure_of(&format!("https://{}/", only_http2.address), ClientOptions::new()).await;
    assert_class(&failure, "tls");
    assert!(failure.to_string().contains("--http2"), "{failure}");

    // Plain HTTP where TLS was expected.
    let plain = serve(|stream| respond(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let client = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    drop(plain);
    assert_class(&failure_of(&format!("https://{}/", client.address), ClientOptions::new()).await, "tls");
}

#[tokio::test]
async fn no_connection_is_told_from_no_name() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_class(&failure_of(&format!("http://{unused}/"), ClientOptions::new()).await, "refused");
    assert_class(&failure_of("http://nowhere.invalid/", ClientOptions::new()).await, "dns");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_retried() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"] {
        let server = serve(move |mut stream| {
            // What is left unread makes the kernel reset the connection instead of closing it.
            let _ = stream.read(&mut [0; 1]);
            let _ = stream.write_all(head.as_bytes());
        });
        let failure = failure_of(&format!("http://{}/", server.address), ClientOptions::new()).await;
        assert!(matches!(failure.kind.code(), "interrupted" | "cut"), "{failure}");
        assert_eq!((failure.retryable(), failure.attempts), (true, 3), "{failure}");
    }
}

#[tokio::test]
async fn answers_that_break_the_protocol_are_asked_for_once() {
    let answers: [&[u8]; 5] = [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nsome\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsomeXX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n: bad\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ];
    for answer in answers {
        let server = serve(move |stream| respond(stream, answer));
        let failure = failure_of(&format!("http://{}/", server.address), ClientOptions::new()).await;
        assert_class(&failure, "protocol");
        assert_eq!(server.connections.load(Relaxed), 1, "{}", String::from_utf8_lossy(answer));
    }
    // HTTP/2: DATA on stream 0 is an error of the connection (RFC 9113, 6.1).
    let server = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let data = [0, 0, 1, 0, 0, 0, 0, 0, 0, b'x'];
        let _ = stream.write_all(&[&settings[..], &data].concat());
        let _ = stream.read(&mut [0; 4096]);
        thread::sleep(Duration::from_millis(200));
    });
    let options = ClientOptions::new().protocol(Protocol::Http2PriorKnowledge);
    assert_class(&failure_of(&format!("http://{}/", server.address), options).await, "protocol");
}

#[tokio::test]
async fn a_flood_of_interim_answers_takes_no_memory() {
    let server = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let early =
            [&b"HTTP/1.1 103 Early Hints\r\n"[..], &b"Link: </x>; rel=preload\r\n".repeat(40), b"\r\n"].concat();
        for _ in 0..40_000 {
            if stream.write_all(&early).is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let before = resident();
    let client = Client::new(ClientOptions::new()).unwrap();
    let budget = Budget::new(32 << 20);
    let url = format!("http://{}/", server.address);
    let mut window = Window::from_iter([url], client, DefaultClock::new(), &budget, Options::new()).unwrap();
    let mut delivery = window.next().await.unwrap();
    assert_eq!(&delivery.collect(10).await.unwrap()[..], b"ok");
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes for 40 MB of interim answers");
}

/// Most memory this process has had resident, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}
