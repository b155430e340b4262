//! Sources from the command line or a list, read only as places come free.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    pin::Pin,
    sync::Arc,
    thread,
};

use futures_util::{Stream, StreamExt, stream};
use narrows::{
    Source,
    source::{BadLine, parse_hex},
};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::{exit::Usage, terminal::tell};

/// A line of a list.
pub(crate) type Line = Result<Source, BadLine>;
pub(crate) type Sources = Pin<Box<dyn Stream<Item = Line> + Send>>;

/// Longest line of a list, in bytes; longer ones end the list, for it is none.
const LINE_MAX: u64 = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Sources handed over at once: waking another thread for each would cost more than a small file.
const BATCH: usize = 64;

/// Prints addresses instead of downloading them. A reader that has gone away wants no more.
pub(crate) fn print(mut addresses: impl Iterator<Item = String>) {
    let mut stdout = io::stdout().lock();
    let _ = addresses.try_for_each(|address| writeln!(stdout, "{address}"));
}

/// The addresses given as arguments.
pub(crate) fn from_arguments(urls: &[String], headers: &[(String, String)]) -> Sources {
    let headers: Arc<[(String, String)]> = headers.into();
    let sources: Vec<_> = urls.iter().map(|url| Ok(Source::new(url.as_str()).headers(headers.clone()))).collect();
    Box::pin(stream::iter(sources))
}

/// Calls `each` for every source of a list that can be read more than once. What cannot be read is passed over
/// here: whoever reads the list for its sources tells.
pub(crate) fn for_each_source(path: &Path, each: &mut dyn FnMut(&Source)) {
    let Ok(file) = File::open(path) else { return };
    let _ = read_lines(file, |_| true, &mut |batch| {
        batch.iter().for_each(|line| match line {
            Ok(source) => each(source),
            Err(bad) => each(&Source::new(bad.line())), // it has a place in the list, too
        });
        true
    });
}

/// The sources of a list: a file, or stdin for `-`. It is read on a thread of its own, for stdin
/// may keep silent for ever.
pub(crate) fn from_file(
    path: &Path,
    headers: &[(String, String)],
    keep: impl FnMut(&Line) -> bool + Send + 'static,
) -> Result<Sources, Usage> {
    let input: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| Usage::at(path, &error))?)
    };
    let name = path.display().to_string();
    Ok(in_background(name, headers, |_| true, move |send| Ok(read_lines(input, keep, send)?)))
}

/// Reads sources on a thread of its own; `read` stops when what it is given says so. Headers are
/// given to the sources they belong to.
pub(crate) fn in_background(
    name: String,
    headers: &[(String, String)],
    belongs: impl Fn(&Source) -> bool + Send + 'static,
    read: impl FnOnce(&mut dyn FnMut(Vec<Line>) -> bool) -> Result<(), Box<dyn Error>> + Send + 'static,
) -> Sources {
    let (sender, receiver) = mpsc::channel(1);
    let headers: Arc<[(String, String)]> = headers.into();
    thread::spawn(move || {
        let mut send = |mut batch: Vec<Line>| {
            let own = batch.iter_mut().flatten().filter(|source| belongs(source));
            // A line's own headers come after those for all.
            own.for_each(|source| {
                source.headers = match source.headers.is_empty() {
                    true => headers.clone(),
                    false => headers.iter().chain(&*source.headers).cloned().collect(),
                };
            });
            sender.blocking_send(batch).is_ok()
        };
        if let Err(error) = read(&mut send) {
            // A list that breaks off must not look like one that has ended.
            tell(format_args!("narrows: {name}: {error}"));
            send(vec![Err(BadLine::new(&name, "the list could not be read to its end"))]);
        }
    });
    let batches = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|batch| (stream::iter(batch), receiver))
    });
    Box::pin(batches.flatten())
}

/// Reads sources until the end, an error, or until `send` has had enough. What has been read is
/// sent before the input is waited for.
pub(crate) fn read_lines(
    input: impl Read,
    mut keep: impl FnMut(&Line) -> bool,
    send: &mut dyn FnMut(Vec<Line>) -> bool,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(8 << 10, input);
    let begins = input.fill_buf()?;
    if begins.starts_with(b"\xff\xfe") || begins.starts_with(b"\xfe\xff") {
        return Err(io::Error::other("it is UTF-16: save the list as UTF-8"));
    }
    if begins.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    let mut batch = Vec::new();
    let mut line = Vec::new();
    loop {
        if (batch.len() == BATCH || !input.buffer().contains(&b'\n'))
            && !batch.is_empty()
            && !send(std::mem::take(&mut batch))
        {
            return Ok(());
        }
        line.clear();
        let length = (&mut input).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(()); // the batch was sent above, for nothing is buffered
        }
        if length as u64 == LINE_MAX {
            return Err(io::Error::other(format!("a line of {LINE_MAX} bytes or more: is this a list?")));
        }
        let source = read_line(&String::from_utf8_lossy(&line));
        batch.extend(source.filter(|source| keep(source)));
    }
}

/// A line of its own form: JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    url: String,
    name: Option<String>,
    size: Option<u64>,
    md5: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn read_line(line: &str) -> Option<Line> {
    let line = line.trim();
    if !line.starts_with('{') {
        return Source::from_line(line);
    }
    let Ok(JsonLine { url, name, size, md5, sha256, headers }) = serde_json::from_str(line) else {
        // Nothing of it is shown: it may have headers with secrets.
        let bad = |reason| Err(BadLine::new("a line of JSON", reason));
        return Some(bad("JSON that is no source: it has \"url\", and may have name, size, md5, sha256 and headers"));
    };
    let bad = |reason| Err(BadLine::new(&url, reason));
    let mut source = Source::new(url.as_str());
    (source.key, source.size, source.headers) = (name.map(Into::into), size, headers.into_iter().collect());
    if let Some(digits) = md5 {
        source.md5 = parse_hex(&digits);
        if source.md5.is_none() {
            return Some(bad("the MD5 is not 32 hexadecimal digits"));
        }
    }
    if let Some(digits) = sha256 {
        source.sha256 = parse_hex(&digits);
        if source.sha256.is_none() {
            return Some(bad("the SHA-256 is not 64 hexadecimal digits"));
        }
    }
    Some(Ok(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_expected_in_either_form() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let words = read_line(&format!("http://h/a name=b size=5 sha256={digits}")).unwrap().unwrap();
        let json = format!("{{\"url\": \"http://h/a\", \"name\": \"b\", \"size\": 5, \"sha256\": \"{digits}\"}}");
        assert_eq!(format!("{words:?}"), format!("{:?}", read_line(&json).unwrap().unwrap()));
        let with_header = read_line(r#"{"url": "http://h/a", "headers": {"X-Key": "k"}}"#).unwrap().unwrap();
        assert_eq!(&*with_header.headers, [("X-Key".to_owned(), "k".to_owned())]);
        let why = |line: &str| read_line(line).unwrap().unwrap_err().reason();
        assert!(why("http://h/a # a note").contains("lines of their own"));
        assert!(why("http://h/a b.csv").contains("%20"));
        assert!(why("\"http://h/a\"").contains("quotes"));
        assert!(why("http://h/a sha256=12").contains("64"));
        assert!(why(r#"{"link": "http://h/a"}"#).contains("url"));
        for line in [
            r#"{"url": "http://h/a", "headers": {"A": "SECRET"}, "nmae": "x"}"#,
            r#"{"url": "http://h/a", "headers": {"A": "SECRET"}, "md5": "x"}"#,
        ] {
            assert!(!read_line(line).unwrap().unwrap_err().line().contains("SECRET"));
        }
    }

    #[test]
    fn lists_of_other_encodings_are_understood_or_named() {
        assert_eq!(read(b"\xef\xbb\xbfhttp://h/a\r\n").0, ["http://h/a"]);
        assert!(read(b"\xff\xfeh\0").1.unwrap_err().to_string().contains("UTF-8"));
    }

    fn read(text: &[u8]) -> (Vec<String>, io::Result<()>) {
        let mut urls = Vec::new();
        let end = read_lines(text, |_| true, &mut |batch| {
            urls.extend(batch.into_iter().map(|source| source.expect("well-formed").url.to_string()));
            true
        });
        (urls, end)
    }

    #[test]
    fn lists_are_read_line_by_line() {
        let (urls, end) = read(b"http://h/a\r\n\n# no\n  http://h/b  \nhttp://h/c");
        assert!(end.is_ok());
        assert_eq!(urls, ["http://h/a", "http://h/b", "http://h/c"]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let (urls, end) = read(&vec![b'x'; 1 << 20]);
        assert!(urls.is_empty() && end.unwrap_err().to_string().contains("is this a list?"));
    }
}
