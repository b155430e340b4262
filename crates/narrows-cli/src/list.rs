//! Sources from the command line or a list, read only as places come free.

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    pin::Pin,
    sync::Arc,
    thread,
};

use futures_util::{Stream, StreamExt, stream};
use narrows::{Source, source::BadLine};
use tokio::sync::mpsc;

use crate::{exit::Usage, terminal::tell};

/// A line of a list.
pub(crate) type Line = Result<Source, BadLine>;
pub(crate) type Sources = Pin<Box<dyn Stream<Item = Line> + Send>>;

/// Longest line of a list, in bytes; longer ones end the list, for it is none.
const LINE_MAX: u64 = 64 << 10;

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
            own.for_each(|source| source.headers = headers.clone());
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
        let source = Source::from_line(&String::from_utf8_lossy(&line));
        batch.extend(source.filter(|source| keep(source)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
