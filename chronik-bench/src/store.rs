//! The folder of a result: every file is there from the first second and survives a killed tool.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag as LogTag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use serde::Serialize;
use serde_json::json;

use crate::clock;
use crate::collect::{Interval, Row};
use crate::error::BenchError;
use crate::model::BenchResult;
use crate::sampling::HostRow;

const RESULT: &str = "result.json";
/// What a crash of the machine may cost.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// An open folder. A disk that fails ends nothing: the first failure is kept and told at the end.
pub(crate) struct Store {
    dir: PathBuf,
    intervals: BufWriter<File>,
    latency: BufWriter<File>,
    hosts: BufWriter<File>,
    errors: BufWriter<File>,
    last_sync: Instant,
    problem: Option<BenchError>,
}

impl Store {
    /// Makes `<out>/<utc>-<name>-<id>/`.
    pub(crate) fn create(out: &Path, name: &str, started: SystemTime) -> Result<Self, BenchError> {
        let id = format!("{:04x}", fastrand::u16(..));
        let folder = format!("{}-{}-{id}", clock::utc_compact(started), plain(name));
        let dir = out.join(folder);
        fs::create_dir_all(&dir).map_err(BenchError::file("make the folder", &dir))?;
        let open = |name: &str| -> Result<BufWriter<File>, BenchError> {
            let path = dir.join(name);
            let file = File::create(&path).map_err(BenchError::file("create", &path))?;
            Ok(BufWriter::new(file))
        };
        let mut store = Self {
            intervals: open("intervals.ndjson")?,
            latency: open("latency.hlog")?,
            hosts: open("hosts.ndjson")?,
            errors: open("errors.ndjson")?,
            last_sync: Instant::now(),
            problem: None,
            dir,
        };
        store.write_log_header(started);
        Ok(store)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn interval(&mut self, interval: &Interval, row: &Row) {
        write_line(&mut self.intervals, row, &mut self.problem);
        if !row.errors.is_empty() {
            let line = json!({"second": row.second, "errors": row.errors});
            write_line(&mut self.errors, &line, &mut self.problem);
        }
        self.write_log(interval);
        // A killed tool leaves whole seconds behind, a killed machine all but the last ten.
        let outcome = self.flush();
        self.keep(outcome);
        if self.last_sync.elapsed() >= SYNC_EVERY {
            self.last_sync = Instant::now();
            let outcome = self.intervals.get_ref().sync_data();
            self.keep(outcome);
        }
    }

    pub(crate) fn host(&mut self, row: &HostRow) {
        write_line(&mut self.hosts, row, &mut self.problem);
    }

    /// Writes the final result.
    pub(crate) fn result(&mut self, result: &BenchResult) -> Result<(), BenchError> {
        let outcome = self.flush();
        self.keep(outcome);
        let written = self.write_result(result);
        match self.problem.take() {
            Some(problem) => Err(problem),
            None => written,
        }
    }

    /// Writes the result so far.
    pub(crate) fn checkpoint(&mut self, so_far: &BenchResult) {
        if let Err(problem) = self.write_result(so_far)
            && self.problem.is_none()
        {
            self.problem = Some(problem);
        }
    }

    fn write_result(&self, result: &BenchResult) -> Result<(), BenchError> {
        write_result(&self.dir.join(RESULT), result)
    }

    fn write_log_header(&mut self, started: SystemTime) {
        let seconds = started
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let outcome = write!(
            self.latency,
            "#[Histogram log format version 1.3]\n\
             #[Values are microseconds]\n\
             #[StartTime: {seconds:.3} (seconds since epoch), {}]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
            clock::utc(started)
        );
        self.keep(outcome);
    }

    fn write_log(&mut self, interval: &Interval) {
        let start = Duration::from_secs(interval.second);
        for (tag, histogram) in interval.window.iter() {
            let outcome = write_histogram(&mut self.latency, &tag.name(), histogram, start);
            self.keep(outcome);
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.intervals.flush()?;
        self.latency.flush()?;
        self.hosts.flush()?;
        self.errors.flush()
    }

    fn keep(&mut self, outcome: std::io::Result<()>) {
        if let Err(source) = outcome
            && self.problem.is_none()
        {
            self.problem = Some(BenchError::file("write to", &self.dir)(source));
        }
    }
}

/// Replaces the result as a whole, so that a reader never sees half of it.
pub(crate) fn write_result(path: &Path, result: &BenchResult) -> Result<(), BenchError> {
    write_json(path, result)
}

/// Writes any state of a command that can be resumed.
pub(crate) fn write_json(path: &Path, state: &impl Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(state).expect("a state is plain data");
    let neighbour = path.with_extension("json.part");
    fs::write(&neighbour, format!("{text}\n")).map_err(BenchError::file("write", &neighbour))?;
    fs::rename(&neighbour, path).map_err(BenchError::file("rename", &neighbour))
}

pub(crate) fn read_json<State: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<State, BenchError> {
    let text = fs::read_to_string(path).map_err(BenchError::file("read", path))?;
    serde_json::from_str(&text).map_err(|source| BenchError::NotAResult {
        path: path.to_path_buf(),
        source,
    })
}

/// Whether a folder holds a result, be it that of a load that is under way.
pub(crate) fn has_result(dir: &Path) -> bool {
    dir.join(RESULT).is_file()
}

/// Reads a result from its file or its folder.
pub(crate) fn read_result(path: &Path) -> Result<BenchResult, BenchError> {
    let file = match path.is_dir() {
        true => path.join(RESULT),
        false => path.to_path_buf(),
    };
    read_json(&file)
}

/// Writes rows as [`read_rows`] reads them.
pub(crate) fn write_lines(path: &Path, lines: &[impl Serialize]) -> Result<(), BenchError> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).expect("a row is plain data"));
        text.push('\n');
    }
    fs::write(path, text).map_err(BenchError::file("write", path))
}

/// All rows of a result's folder; a line cut off by a crash ends them.
pub(crate) fn read_rows<Line: serde::de::DeserializeOwned>(
    dir: &Path,
    name: &str,
) -> Result<Vec<Line>, BenchError> {
    let path = dir.join(name);
    let text = fs::read_to_string(&path).map_err(BenchError::file("read", &path))?;
    Ok(text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Adds the histograms of a result's log up by tag; a line cut off by a crash ends them.
pub(crate) fn read_histograms(dir: &Path, into: &mut Vec<(String, Histogram<u64>)>) {
    let Ok(bytes) = fs::read(dir.join("latency.hlog")) else {
        return;
    };
    for entry in IntervalLogIterator::new(&bytes).map_while(Result::ok) {
        let LogEntry::Interval(interval) = entry else {
            continue;
        };
        let encoded = base64(interval.encoded_histogram());
        let read = Deserializer::new().deserialize::<u64, _>(&mut encoded.as_slice());
        let (Ok(histogram), Some(tag)) = (read, interval.tag()) else {
            continue;
        };
        let tag = tag.as_str();
        let at = into.iter().position(|(found, _)| found == tag);
        let at = at.unwrap_or_else(|| {
            into.push((tag.to_owned(), crate::recorder::empty_histogram()));
            into.len() - 1
        });
        into[at]
            .1
            .add(histogram)
            .expect("all histograms have one shape");
    }
}

/// The standard alphabet; other letters are skipped.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text
        .bytes()
        .filter_map(|letter| LETTERS.iter().position(|found| *found == letter));
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for value in values {
        bits = (bits << 6 | value as u32) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn write_histogram(
    writer: &mut impl Write,
    tag: &str,
    histogram: &Histogram<u64>,
    start: Duration,
) -> std::io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    // Without options the builder writes no header, so each histogram can have a writer of its own.
    let mut log = IntervalLogWriterBuilder::new().begin_log_with(writer, &mut serializer)?;
    let tag = LogTag::new(tag).expect("tags have no commas and no blanks");
    log.write_histogram(histogram, start, Duration::from_secs(1), Some(tag))
        .map_err(|problem| std::io::Error::other(problem.to_string()))
}

fn write_line(
    writer: &mut BufWriter<File>,
    line: &impl Serialize,
    problem: &mut Option<BenchError>,
) {
    let text = serde_json::to_string(line).expect("a row is plain data");
    if let Err(source) = writeln!(writer, "{text}")
        && problem.is_none()
    {
        *problem = Some(BenchError::file("write to", "the result's folder")(source));
    }
}

/// A name that needs no quoting in a file system.
pub(crate) fn plain(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    name.chars()
        .map(|letter| if is_plain(letter) { letter } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Tag;

    #[test]
    fn a_folder_is_written_and_read_back() {
        let out = tempfile::tempdir().unwrap();
        let mut store = Store::create(out.path(), "a b/c", SystemTime::UNIX_EPOCH).unwrap();
        assert!(store.dir().to_str().unwrap().contains("a-b-c"));
        let mut interval = Interval {
            second: 3,
            ..Interval::default()
        };
        interval.window.record(Tag::AckResponse, 1_234);
        interval.window.record(Tag::Broker(2), 99);
        let row = interval.row("window", 5);
        store.interval(&interval, &row);
        let result = BenchResult {
            name: "x".into(),
            ..BenchResult::default()
        };
        store.result(&result).unwrap();
        assert_eq!(read_result(store.dir()).unwrap(), result);
        let rows: Vec<Row> = read_rows(store.dir(), "intervals.ndjson").unwrap();
        assert_eq!(rows, [row]);
    }

    #[test]
    fn the_histogram_log_is_the_public_format() {
        let out = tempfile::tempdir().unwrap();
        let mut store = Store::create(out.path(), "log", SystemTime::UNIX_EPOCH).unwrap();
        let mut interval = Interval::default();
        interval.window.record(Tag::EndToEnd, 500);
        store.interval(&interval, &interval.row("window", 0));
        let bytes = fs::read(store.dir().join("latency.hlog")).unwrap();
        assert!(bytes.starts_with(b"#[Histogram log format version 1.3]"));
        let mut read = Vec::new();
        read_histograms(store.dir(), &mut read);
        read_histograms(store.dir(), &mut read);
        assert_eq!(read.len(), 1);
        let (tag, histogram) = &read[0];
        assert_eq!(tag, "e2e");
        assert_eq!((histogram.len(), histogram.max()), (2, 500));
    }
}
