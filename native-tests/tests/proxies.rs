//! Proxies, which come from the environment: so through the command line.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use native_tests::{narrows, report};

/// A proxy that answers every request alike.
fn proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn code_through(proxy: &str, url: &str) -> (String, String) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("report");
    let mut command = narrows(&["get", url, "--discard", "--retries", "0", "--report", path.to_str().unwrap()]);
    command.env("HTTPS_PROXY", proxy).env("HTTP_PROXY", proxy).env("NO_PROXY", "");
    let output = command.output().unwrap();
    let kind = report(&path)[0]["kind"].as_str().unwrap_or_default().to_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &fs::read_to_string(&path).unwrap();
    (kind, told)
}

#[test]
fn what_a_proxy_refuses_is_told_as_the_proxys() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let denied = proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let broken = proxy("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let cases = [
        (&unused, "https://example.invalid/", "proxy"),
        (&unused, "http://example.invalid/", "proxy"),
        (&denied, "https://example.invalid/", "proxy"),
        (&broken, "https://example.invalid/", "proxy"),
        (&denied, "http://example.invalid/", "denied"),
    ];
    for (address, url, expected) in cases {
        let (kind, told) = code_through(&format!("http://user:S3CRET@{address}"), url);
        assert_eq!(kind, expected, "{address} {url}: {told}");
        assert!(!told.contains("S3CRET"), "{told}");
    }
}
