//! Sources from the command line or a list, read only as places come free.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    pin::Pin,
    thread,
};

use futures_util::{Stream, stream};
use narrows::Source;
use tokio::sync::mpsc;

use crate::Usage;

pub(crate) type Sources = Pin<Box<dyn Stream<Item = Source> + Send>>;

/// Longest line of a list, in bytes; longer ones end the list, for it is none.
const LINE_MAX: u64 = 64 << 10;

/// Lines read ahead of the window.
const LINES_AHEAD: usize = 16;

/// The addresses given as arguments.
pub(crate) fn from_arguments(urls: &[String], headers: &[(String, String)]) -> Sources {
    let headers: std::sync::Arc<[(String, String)]> = headers.into();
    let sources: Vec<_> =
        urls.iter().map(|url| Source { headers: headers.clone(), ..Source::new(url.as_str()) }).collect();
    Box::pin(stream::iter(sources))
}

/// The sources of a list: a file, or stdin for `-`. It is read on a thread of its own, for stdin
/// may keep silent for ever.
pub(crate) fn from_file(
    path: &Path,
    headers: &[(String, String)],
    keep: impl FnMut(&Source) -> bool + Send + 'static,
) -> Result<Sources, Usage> {
    let input: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| Usage(format!("{}: {error}", path.display())))?)
    };
    let name = path.display().to_string();
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let headers: std::sync::Arc<[(String, String)]> = headers.into();
    thread::spawn(move || {
        let sent = read_lines(BufReader::new(input), keep, |source| {
            sender.blocking_send(Source { headers: headers.clone(), ..source }).is_ok()
        });
        if let Err(error) = sent {
            // A list that breaks off must not look like one that has ended.
            let reason = "the list could not be read to its end";
            let source = Source { invalid: Some(narrows::BadLine { reason }), ..Source::new(name.as_str()) };
            eprintln!("narrows: {name}: {error}");
            let _ = sender.blocking_send(source);
        }
    });
    Ok(from_channel(receiver))
}

pub(crate) fn from_channel(receiver: mpsc::Receiver<Source>) -> Sources {
    Box::pin(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|source| (source, receiver))
    }))
}

/// Reads sources until the end, an error, or until `send` has had enough.
pub(crate) fn read_lines(
    mut input: impl BufRead,
    mut keep: impl FnMut(&Source) -> bool,
    mut send: impl FnMut(Source) -> bool,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut input).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 == LINE_MAX {
            return Err(io::Error::other(format!("a line of {LINE_MAX} bytes or more: is this a list?")));
        }
        let source = Source::from_line(&String::from_utf8_lossy(&line));
        if let Some(source) = source.filter(|source| keep(source))
            && !send(source)
        {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, io::Result<()>) {
        let mut urls = Vec::new();
        let end = read_lines(text, |_| true, |source| {
            urls.push(source.url.to_string());
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
