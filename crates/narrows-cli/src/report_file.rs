//! The report: a JSON line for each source, appended as sources end.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde::Serialize;

use crate::{exit::Usage, output::file_id};

/// What is looked at of a report that is continued.
const TAIL_BYTES: u64 = 1 << 20;

#[derive(Default, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
    pub(crate) url: &'a str,
    /// Where it is, below the output: a file, or a folder with a slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    pub(crate) outcome: &'a str,
    /// Of a failure, its code; of a success, what proves that it is complete.
    pub(crate) kind: Option<&'a str>,
    pub(crate) error: Option<String>,
    pub(crate) retryable: Option<bool>,
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) requests: u32,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_accepted: u64,
    pub(crate) bytes_out: u64,
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) elapsed_ms: u64,
}

/// The file of a report.
pub(crate) struct ReportFile {
    file: BufWriter<File>,
    /// Sources that are done by the last lines of a run before, by index.
    done_before: Vec<u64>,
}

impl ReportFile {
    /// Begins a report, or goes on with that of a run before: `continues`. The list must not be its place.
    pub(crate) fn open(path: &Path, list: Option<&Path>, continues: bool) -> Result<Self, Usage> {
        if list.is_some_and(|list| list == path || file_id(list).is_some_and(|id| file_id(path) == Some(id))) {
            return Err(Usage::new(format!("{}: the report would replace the list", path.display())));
        }
        let at = |error: io::Error| Usage::at(path, &error);
        if !continues || !path.is_file() {
            let file = BufWriter::new(File::create(path).map_err(at)?);
            return Ok(Self { file, done_before: Vec::new() });
        }
        let mut file = File::options().read(true).write(true).open(path).map_err(at)?;
        let done_before = trim(&mut file).map_err(at)?;
        Ok(Self { file: BufWriter::new(file), done_before })
    }

    pub(crate) fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line).map_err(io::Error::from)?;
        self.file.write_all(b"\n")
    }

    /// Whether the run before has written that this source is done.
    pub(crate) fn has_done(&self, index: u64) -> bool {
        self.done_before.contains(&index)
    }

    /// Hands everything that was written to the system; what is given [syncs](sync) it.
    pub(crate) fn flush(&mut self) -> io::Result<File> {
        self.file.flush()?;
        self.file.get_ref().try_clone()
    }
}

/// What was flushed is durable after this.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()), // a pipe
        synced => synced,
    }
}

/// Cuts off a line that was not written to its end, and gives what the last lines say is done.
fn trim(file: &mut File) -> io::Result<Vec<u64>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = BufReader::new(file.take(TAIL_BYTES));
    let (mut done, mut line, mut end) = (Vec::new(), Vec::new(), start);
    let mut is_cut = start > 0;
    loop {
        line.clear();
        let read = tail.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        end += read as u64;
        // The first may be the end of a line.
        if std::mem::take(&mut is_cut) {
            continue;
        }
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
        if value["outcome"] == "done" {
            done.extend(value["index"].as_u64());
        }
    }
    file.set_len(end)?;
    file.seek(SeekFrom::End(0))?;
    Ok(done)
}
