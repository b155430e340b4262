//! What servers answer and lists look like, one row each: the right end, exit status and bytes, over real sockets.

use std::fs;

use narrows_sim::gzip;
use native_tests::{
    files, get, report,
    served::{Asked, Served, ok, response},
};

/// What a server answers, what is asked for besides, and how that ends: the file's bytes, or the failure's code.
struct Row {
    what: &'static str,
    name: &'static str,
    arguments: &'static [&'static str],
    answer: fn(&Asked) -> Vec<u8>,
    end: Result<&'static [u8], &'static str>,
}

const BODY: &[u8] = b"the whole body, of a few words\n";

fn row(what: &'static str, answer: fn(&Asked) -> Vec<u8>, end: Result<&'static [u8], &'static str>) -> Row {
    Row { what, name: "file", arguments: &[], answer, end }
}

/// With these headers.
fn whole(headers: &str) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n{headers}", BODY.len()), BODY)
}

/// A part from the asked offset on, if one was asked for; everything otherwise, under this validator.
fn ranged(asked: &Asked, etag: &str, body: &[u8]) -> Vec<u8> {
    let start = asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        Some(start) if start < body.len() => {
            let (length, last) = (body.len() - start, body.len() - 1);
            let headers = format!(
                "ETag: {etag}\r\nContent-Length: {length}\r\nContent-Range: bytes {start}-{last}/{}\r\n",
                body.len()
            );
            response("206 Partial Content", &headers, &body[start..])
        }
        _ => response(
            "200 OK",
            &format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n", body.len()),
            body,
        ),
    }
}

/// The first answer breaks off in the middle.
fn cut(answer: Vec<u8>) -> Vec<u8> {
    answer[..answer.len() - 10].to_vec()
}

fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("a length", |_| whole(""), Ok(BODY)),
        row("no length", |_| response("200 OK", "", BODY), Ok(BODY)),
        row(
            "chunked",
            |_| response("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Ok(b"abcde"),
        ),
        row(
            "chunked with a trailer",
            |_| response("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
            Ok(b"abc"),
        ),
        row(
            "chunked that breaks off, then whole",
            |asked| match asked.before {
                0 => response("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n"),
                _ => response("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
            },
            Ok(b"abc"),
        ),
        row(
            "transfer encoding wins over a length",
            |_| response("200 OK", "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
            Ok(b"abc"),
        ),
        row("an empty file", |_| ok(b""), Ok(b"")),
        row("204", |_| response("204 No Content", "", b""), Err("status")),
        row("404", |_| response("404 Not Found", "Content-Length: 2\r\n", b"no"), Err("not_found")),
        row("410", |_| response("410 Gone", "Content-Length: 0\r\n", b""), Err("not_found")),
        row("401", |_| response("401 Unauthorized", "Content-Length: 0\r\n", b""), Err("denied")),
        row("403", |_| response("403 Forbidden", "Content-Length: 0\r\n", b""), Err("denied")),
        row("451", |_| response("451 Unavailable For Legal Reasons", "Content-Length: 0\r\n", b""), Err("status")),
        row("300 without a place", |_| response("300 Multiple Choices", "Content-Length: 0\r\n", b""), Err("status")),
        row("302 without a place", |_| response("302 Found", "Content-Length: 0\r\n", b""), Err("status")),
        row(
            "302 to a sibling",
            |asked| match asked.path.as_str() {
                "/other" => whole(""),
                _ => response("302 Found", "Location: /other\r\nContent-Length: 0\r\n", b""),
            },
            Ok(BODY),
        ),
        row(
            "308 with a body of its own",
            |asked| match asked.path.as_str() {
                "/other" => whole(""),
                _ => response("308 Permanent Redirect", "Location: other\r\nContent-Length: 5\r\n", b"moved"),
            },
            Ok(BODY),
        ),
        row(
            "a redirect to itself for ever",
            |_| response("302 Found", "Location: /file\r\nContent-Length: 0\r\n", b""),
            Err("redirect"),
        ),
        row(
            "429 with a wait",
            |asked| match asked.before {
                0 => response("429 Too Many Requests", "Retry-After: 1\r\nContent-Length: 0\r\n", b""),
                _ => whole(""),
            },
            Ok(BODY),
        ),
        row(
            "503 with a date that is past",
            |asked| match asked.before {
                0 => response(
                    "503 Service Unavailable",
                    "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n",
                    b"",
                ),
                _ => whole(""),
            },
            Ok(BODY),
        ),
        row(
            "429 with a wait beyond all numbers",
            |_| response("429 Too Many Requests", "Retry-After: 99999999999999999999\r\nContent-Length: 0\r\n", b""),
            Err("overloaded"),
        ),
        row("a folded header", |_| whole("X-Long: one\r\n two\r\n"), Ok(BODY)),
        row("a header without a value", |_| whole("X-Empty:\r\n"), Ok(BODY)),
        row(
            "a hundred and fifty headers",
            |_| whole(&(0..150).map(|index| format!("X-{index}: y\r\n")).collect::<String>()),
            Ok(BODY),
        ),
        row("a content encoding that is none", |_| whole("Content-Encoding: UTF-8\r\n"), Ok(BODY)),
        row("an empty content encoding", |_| whole("Content-Encoding: \r\n"), Ok(BODY)),
        row("aws-chunked", |_| whole("Content-Encoding: aws-chunked\r\n"), Ok(BODY)),
        row("identity", |_| whole("Content-Encoding: identity\r\n"), Ok(BODY)),
        row("an encoding nobody asked for", |_| whole("Content-Encoding: br\r\n"), Err("encoding")),
        row(
            "gzip nobody asked for",
            |_| {
                let packed = gzip(BODY);
                response("200 OK", &format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len()), &packed)
            },
            Ok(BODY),
        ),
        row(
            "a transfer encoding that is packed",
            |_| {
                let packed = gzip(BODY);
                let chunks = [format!("{:x}\r\n", packed.len()).as_bytes(), &packed, b"\r\n0\r\n\r\n"].concat();
                response("200 OK", "Transfer-Encoding: gzip, chunked\r\n", &chunks)
            },
            Err("protocol"),
        ),
        row(
            "a part of everything that nobody asked for",
            |_| {
                let headers =
                    format!("Content-Length: {0}\r\nContent-Range: bytes 0-{1}/{0}\r\n", BODY.len(), BODY.len() - 1);
                response("206 Partial Content", &headers, BODY)
            },
            Ok(BODY),
        ),
        row(
            "a part that nobody asked for",
            |_| response("206 Partial Content", "Content-Length: 5\r\nContent-Range: bytes 0-4/31\r\n", &BODY[..5]),
            Err("bad_range"),
        ),
        row("cut once, without ranges", |asked| if asked.before == 0 { cut(whole("")) } else { whole("") }, Ok(BODY)),
        row(
            "cut once, with ranges",
            |asked| if asked.before == 0 { cut(ranged(asked, "\"a\"", BODY)) } else { ranged(asked, "\"a\"", BODY) },
            Ok(BODY),
        ),
        row("cut always", |_| cut(whole("")), Err("cut")),
        row(
            "changed in the middle",
            |asked| match asked.before {
                0 => cut(ranged(asked, "\"a\"", b"the file as it was before, in other words\n")),
                _ => ranged(asked, "\"b\"", BODY),
            },
            Ok(BODY),
        ),
        row(
            "another validator for the same bytes",
            |asked| {
                let etag = format!("\"{}\"", asked.before);
                if asked.before == 0 { cut(ranged(asked, &etag, BODY)) } else { ranged(asked, &etag, BODY) }
            },
            Ok(BODY),
        ),
        row(
            "416 for the rest",
            |asked| match (asked.before, asked.header("range")) {
                (0, _) => cut(ranged(asked, "\"a\"", BODY)),
                (_, Some(_)) => response("416 Range Not Satisfiable", "Content-Length: 0\r\n", b""),
                _ => ranged(asked, "\"a\"", BODY),
            },
            Ok(BODY),
        ),
        row(
            "412 for the rest",
            |asked| match (asked.before, asked.header("range")) {
                (0, _) => cut(ranged(asked, "\"a\"", BODY)),
                (_, Some(_)) => response("412 Precondition Failed", "Content-Length: 0\r\n", b""),
                _ => ranged(asked, "\"a\"", BODY),
            },
            Ok(BODY),
        ),
        row("reset before the head", |asked| if asked.before == 0 { Vec::new() } else { whole("") }, Ok(BODY)),
        row(
            "a head that breaks off",
            |asked| if asked.before == 0 { b"HTTP/1.1 200 O".to_vec() } else { whole("") },
            Ok(BODY),
        ),
        row("what is no HTTP", |_| b"220 ftp.example ready\r\n".to_vec(), Err("protocol")),
        row("a length that is no number", |_| response("200 OK", "Content-Length: many\r\n", BODY), Err("protocol")),
        row(
            "two lengths",
            |_| response("200 OK", "Content-Length: 31\r\nContent-Length: 30\r\n", BODY),
            Err("protocol"),
        ),
        row("more than its length", |_| [whole(""), b"and more".to_vec()].concat(), Ok(BODY)),
        row("100 before", |_| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), whole("")].concat(), Ok(BODY)),
        row(
            "103 before",
            |_| [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(), whole("")].concat(),
            Ok(BODY),
        ),
        row("HTTP/1.0", |_| [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), BODY].concat(), Ok(BODY)),
        row(
            "a status without words",
            |_| [b"HTTP/1.1 200\r\nConnection: close\r\n\r\n".as_slice(), BODY].concat(),
            Ok(BODY),
        ),
    ];
    rows.push(Row {
        arguments: &["--compressed"],
        ..row(
            "gzip that was asked for",
            |asked| {
                assert!(asked.header("accept-encoding").is_some_and(|codings| codings.contains("gzip")));
                let packed = gzip(BODY);
                response("200 OK", &format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len()), &packed)
            },
            Ok(BODY),
        )
    });
    rows.push(Row {
        arguments: &["--max-file-size", "10"],
        ..row("more than is allowed, and says so", |_| whole(""), Err("too_large"))
    });
    rows.push(Row {
        arguments: &["--max-file-size", "10"],
        ..row("more than is allowed, and does not say so", |_| response("200 OK", "", BODY), Err("too_large"))
    });
    rows.push(Row {
        name: "file.gz",
        arguments: &["--unpack"],
        ..row("a packed file, unpacked", |_| ok(&gzip(BODY)), Ok(BODY))
    });
    rows.push(Row {
        arguments: &["-A", "somebody/1.0", "-H", "X-Key: k"],
        ..row(
            "a name and a header of the user's",
            |asked| match (asked.header("user-agent"), asked.header("x-key")) {
                (Some("somebody/1.0"), Some("k")) => whole(""),
                _ => response("400 Bad Request", "Content-Length: 0\r\n", b""),
            },
            Ok(BODY),
        )
    });
    // Statuses that pass: of gateways, and of those in front of them.
    macro_rules! passing {
        ($($status:literal),*) => {$(
            rows.push(row(
                concat!($status, " once"),
                |asked| match asked.before {
                    0 => response(concat!($status, " Passing"), "Content-Length: 0\r\n", b""),
                    _ => whole(""),
                },
                Ok(BODY),
            ));
        )*};
    }
    passing!(408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530);
    rows
}

#[test]
fn every_server_ends_as_it_should() {
    let mut wrong = Vec::new();
    let rows = rows();
    let count = rows.len();
    for Row { what, name, arguments, answer, end } in rows {
        let served = Served::start(answer);
        let scratch = tempfile::tempdir().unwrap();
        let (out, lines) = (scratch.path().join("out"), scratch.path().join("report"));
        let fixed = ["--out", out.to_str().unwrap(), "--report", lines.to_str().unwrap(), "--retries", "2"];
        let (status, _, stderr) = get(&[&fixed[..], arguments, &[&served.url(&format!("/{name}"))]].concat());
        let line = report(&lines).pop().unwrap_or_default();
        let found = match files(&out).first() {
            Some(name) => Ok(fs::read(out.join(name)).unwrap()),
            None => Err(line["kind"].as_str().unwrap_or_default().to_owned()),
        };
        let expected = end.map(<[u8]>::to_vec).map_err(str::to_owned);
        if found != expected || status != i32::from(end.is_err()) {
            wrong.push(format!("{what}: status {status}, {found:?} rather than {expected:?}: {stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} rows:\n{}", wrong.len(), wrong.join("\n"));
}
