//! A recording that is shown again. Lines are read when their time comes; what lies elsewhere is found by an index of
//! the places where everything was written down, one for each minute. In memory are one line, the last look at the
//! cluster and the index, however long the recording is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::data::{Data, News};
use super::record::{Line, complete, wrong};
use super::state::Event;
use crate::exit::Failure;

/// Reads news, one piece at a time, from anywhere.
pub(super) struct Player {
    file: BufReader<File>,
    position: u64,
    index: Index,
    last: Option<Data>,
    line: Vec<u8>,
}

/// Where what begins, by time.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Lines with everything in them: where reading can begin.
    wholes: Vec<(u64, u64)>,
    /// Lines with events, which are shown long after they happened.
    happened: Vec<(u64, u64)>,
    /// How far the file was looked through, and the time there.
    reached: u64,
    reached_ms: u64,
}

/// How a recording is to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Steer {
    Pace {
        speed: f64,
        is_paused: bool,
    },
    /// The next look at the cluster.
    Step,
    /// The look before.
    Back,
    /// So many milliseconds on, or back.
    By(i64),
    /// The end.
    End,
}

/// The beginning of a line, as far as it says what the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Whole,
    Happened,
    Other,
}

/// A head is shorter than this.
const HEAD: u64 = 80;
/// Lines with events that are remembered; of those after them, only what is passed is shown.
const MOST_HAPPENED: usize = 100_000;
/// Lines with events from before the place where reading begins.
const EARLIER: usize = 200;

impl Player {
    pub(super) fn open(path: &Path) -> Result<Player, Failure> {
        let file = File::open(path).map_err(|error| wrong(path, &error))?;
        Ok(Player {
            file: BufReader::new(file),
            position: 0,
            index: Index::default(),
            last: None,
            line: Vec::new(),
        })
    }

    /// The next piece with its time; none at the end. The last line of a recording that was cut off is no news.
    pub(super) fn next(&mut self) -> Option<(u64, News)> {
        let mut line = self.read().ok().flatten()?;
        if let News::Polled(data) = &mut line.news {
            if let Some(last) = self.last.take().filter(|_| line.is_difference) {
                complete(data, last);
            }
            self.last = Some((**data).clone());
        }
        Some((line.at_ms, line.news))
    }

    /// Tells what makes up the view at a time, from at least the minute before on, and goes on from there.
    pub(super) fn seek(&mut self, to_ms: u64, mut tell: impl FnMut(u64, News)) -> io::Result<()> {
        self.look_ahead(to_ms)?;
        let index = &self.index;
        let passed = index.wholes.partition_point(|(at_ms, _)| *at_ms <= to_ms);
        let Some((from_ms, from)) = index.wholes.get(passed.saturating_sub(2)).copied() else {
            return Ok(());
        };
        let before = index
            .happened
            .partition_point(|(at_ms, _)| *at_ms < from_ms);
        let earlier = index.happened[before.saturating_sub(EARLIER)..before].to_vec();
        for (at_ms, place) in earlier {
            self.go_to(place)?;
            if let Some(line) = self.read()? {
                tell(at_ms, line.news);
            }
        }
        self.go_to(from)?;
        self.last = None;
        // A time before the recording is its beginning.
        let to_ms = to_ms.max(from_ms);
        loop {
            let place = self.position;
            match self.peek_ms()? {
                Some(at_ms) if at_ms <= to_ms => {}
                _ => return self.go_to(place),
            }
            let Some((at_ms, news)) = self.next() else {
                return Ok(());
            };
            tell(at_ms, news);
        }
    }

    fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        self.line.clear();
        let length = self.file.read_until(b'\n', &mut self.line)?;
        let place = self.position;
        self.position += length as u64;
        if !self.line.ends_with(b"\n") {
            return Ok(None);
        }
        self.index.note(place, self.position, &self.line);
        Ok(serde_json::from_slice(&self.line).ok())
    }

    /// The time of the next line, which stays the next one.
    fn peek_ms(&mut self) -> io::Result<Option<u64>> {
        let mut head = Vec::new();
        let length = (&mut self.file).take(HEAD).read_until(b'\n', &mut head)?;
        self.file.seek_relative(-(length as i64))?;
        Ok(head_of(&head).map(|(at_ms, _)| at_ms))
    }

    /// Looks through the beginnings of lines that were not reached yet, up to the first whole one behind a time.
    fn look_ahead(&mut self, to_ms: u64) -> io::Result<()> {
        self.go_to(self.index.reached)?;
        while self.index.reached_ms <= to_ms {
            self.line.clear();
            let place = self.position;
            let mut length = (&mut self.file)
                .take(HEAD)
                .read_until(b'\n', &mut self.line)?;
            if !self.line.ends_with(b"\n") {
                length += self.file.skip_until(b'\n')?;
            }
            if length == 0 {
                return Ok(());
            }
            self.position += length as u64;
            self.index.note(place, self.position, &self.line);
        }
        Ok(())
    }
}

impl Index {
    fn note(&mut self, place: u64, end: u64, line: &[u8]) {
        if place < self.reached {
            return;
        }
        self.reached = end;
        let Some((at_ms, head)) = head_of(line) else {
            return;
        };
        self.reached_ms = self.reached_ms.max(at_ms);
        match head {
            Head::Whole => self.wholes.push((at_ms, place)),
            Head::Happened if self.happened.len() < MOST_HAPPENED => {
                self.happened.push((at_ms, place));
            }
            _ => {}
        }
    }
}

/// What a line is, without reading it: `Recorder` writes the fields in this order.
fn head_of(line: &[u8]) -> Option<(u64, Head)> {
    let rest = line.strip_prefix(br#"{"at_ms":"#)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let at_ms = str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let rest = &rest[digits..];
    let head = if rest.starts_with(br#","news":{"polled""#) {
        Head::Whole
    } else if rest.starts_with(br#","news":{"happened""#) {
        Head::Happened
    } else {
        Head::Other
    };
    Some((at_ms, head))
}

/// Hands news on as fast as it is wanted, until nobody steers any more.
pub(super) fn play(mut player: Player, speed: f64, steer: &Receiver<Steer>, out: &Sender<Event>) {
    let (mut speed, mut is_paused) = (speed, false);
    let mut next = player.next();
    let mut now_ms = next.as_ref().map_or(0, |(at_ms, _)| *at_ms);
    let mut since = Instant::now();
    loop {
        let wished = match &next {
            Some((at_ms, _)) if !is_paused => {
                let passed = Duration::from_millis(at_ms.saturating_sub(now_ms));
                let due = passed.div_f64(speed.max(0.01));
                steer.recv_timeout(due.saturating_sub(since.elapsed()))
            }
            _ => steer.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let wish = match wished {
            Ok(wish) => wish,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some((at_ms, news)) = next.take() else {
                    continue;
                };
                (now_ms, since) = (at_ms, Instant::now());
                hand_on(out, at_ms, news);
                next = player.next();
                if next.is_none() {
                    ended(out);
                }
                continue;
            }
        };
        let to_ms = match wish {
            Steer::Pace {
                speed: wanted,
                is_paused: is_wanted,
            } => {
                (speed, is_paused, since) = (wanted, is_wanted, Instant::now());
                continue;
            }
            Steer::Step => {
                while let Some((at_ms, news)) = next.take() {
                    let is_look = matches!(news, News::Polled(_));
                    now_ms = at_ms;
                    hand_on(out, at_ms, news);
                    next = player.next();
                    if is_look {
                        break;
                    }
                }
                continue;
            }
            Steer::Back => now_ms.saturating_sub(1),
            Steer::By(ms) => now_ms.saturating_add_signed(ms),
            Steer::End => u64::MAX,
        };
        _ = out.blocking_send(Event::Rewound);
        let told = player.seek(to_ms, |at_ms, news| {
            now_ms = at_ms;
            hand_on(out, at_ms, news);
        });
        next = player.next();
        since = Instant::now();
        match told {
            Ok(()) if next.is_some() => {}
            Ok(()) => ended(out),
            Err(error) => {
                let line = format!("the recording cannot be read: {error}");
                _ = out.blocking_send(Event::Done(Err(line)));
            }
        }
    }
}

/// The view may have gone: the next look at the steering tells.
fn hand_on(out: &Sender<Event>, at_ms: u64, news: News) {
    _ = out.blocking_send(Event::Tick(at_ms));
    _ = out.blocking_send(Event::News(news));
}

fn ended(out: &Sender<Event>) {
    let end = "the recording ends here".to_owned();
    _ = out.blocking_send(Event::Done(Ok(end)));
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const MINUTES: u64 = 24 * 60;
    /// A whole minute is much larger than the differences in it, as in a large cluster.
    const PADDING: usize = 6_000;

    /// A day: everything each minute, a difference every ten seconds, and an event each hour.
    fn a_day(path: &Path) -> u64 {
        let mut file = io::BufWriter::new(File::create(path).unwrap());
        let padding = "x".repeat(PADDING);
        for minute in 0..MINUTES {
            let at = |second: u64| (minute * 60 + second) * 1_000;
            writeln!(
                file,
                r#"{{"at_ms":{0},"news":{{"polled":{{"at_ms":{0},"cluster":{{"cluster_id":"{padding}"}}}}}}}}"#,
                at(0)
            )
            .unwrap();
            for second in [10, 20, 30, 40, 50] {
                writeln!(
                    file,
                    r#"{{"at_ms":{0},"is_difference":true,"news":{{"polled":{{"at_ms":{0}}}}}}}"#,
                    at(second)
                )
                .unwrap();
            }
            if minute % 60 == 0 {
                writeln!(
                    file,
                    r#"{{"at_ms":{0},"news":{{"happened":[{{"at_ms":{0},"kind":"NODE_BACK"}}]}}}}"#,
                    at(55)
                )
                .unwrap();
            }
        }
        file.flush().unwrap();
        file.get_ref().metadata().unwrap().len()
    }

    fn seek(player: &mut Player, to_ms: u64) -> Vec<(u64, News)> {
        let mut told = Vec::new();
        player
            .seek(to_ms, |at_ms, news| told.push((at_ms, news)))
            .unwrap();
        told
    }

    fn looks(told: &[(u64, News)]) -> Vec<u64> {
        let looks = told.iter();
        let looks = looks.filter(|(_, news)| matches!(news, News::Polled(_)));
        looks.map(|(at_ms, _)| at_ms / 1_000).collect()
    }

    #[test]
    fn a_day_is_sought_through_with_an_index_of_its_minutes_and_one_line_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("day.jsonl");
        let length = a_day(&path);
        let mut player = Player::open(&path).unwrap();
        // Nothing was read yet but what is shown.
        assert_eq!(player.next().unwrap().0, 0);
        assert!(player.index.reached < length / 1_000);
        let noon = 12 * 3_600;
        let told = seek(&mut player, (noon + 25) * 1_000);
        let expected =
            [-60, -50, -40, -30, -20, -10, 0, 10, 20].map(|by| noon.wrapping_add_signed(by));
        assert_eq!(looks(&told), expected);
        // Events of all hours before are there.
        assert_eq!(told.len() - expected.len(), 12);
        // What lies behind was not looked at.
        assert!(player.index.reached < length * 51 / 100);
        assert_eq!(player.next().unwrap().0, (noon + 30) * 1_000);
        let told = seek(&mut player, (noon + 29) * 1_000);
        assert_eq!(looks(&told).last(), Some(&(noon + 20)));
        let early = seek(&mut player, 3_600_000);
        assert_eq!(looks(&early).last(), Some(&3_600));
        let end = seek(&mut player, u64::MAX);
        assert_eq!(looks(&end).last(), Some(&(MINUTES * 60 - 10)));
        assert_eq!(player.next(), None);
        assert_eq!(looks(&seek(&mut player, 0)), [0]);

        // The argument for bounded memory: a place for each minute and each hour, and a line that is used again.
        let index = &player.index;
        assert_eq!(index.wholes.len() as u64, MINUTES);
        assert_eq!(index.happened.len() as u64, MINUTES / 60);
        assert_eq!(index.reached, length);
        assert!(player.line.capacity() < 4 * PADDING);
    }

    #[test]
    fn the_head_of_a_line_says_what_it_is() {
        let head = |line: &str| head_of(line.as_bytes());
        let whole = r#"{"at_ms":12,"news":{"polled":{"#;
        assert_eq!(head(whole), Some((12, Head::Whole)));
        let difference = r#"{"at_ms":12,"is_difference":true,"news":{"polled":{"#;
        assert_eq!(head(difference), Some((12, Head::Other)));
        let happened = r#"{"at_ms":7,"news":{"happened":["#;
        assert_eq!(head(happened), Some((7, Head::Happened)));
        for other in ["", "{", r#"{"at_ms":"#, r#"{"at_ms":x"#, "\u{fffd}"] {
            assert_eq!(head(other), None);
        }
    }

    #[test]
    fn a_torn_or_foreign_file_ends_early() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("torn.jsonl");
        std::fs::write(
            &path,
            "{\"at_ms\":5,\"news\":{\"failed\":\"x\"}}\n{\"at_ms\":9,\"ne",
        )
        .unwrap();
        let mut player = Player::open(&path).unwrap();
        assert_eq!(player.next(), Some((5, News::Failed("x".to_owned()))));
        assert_eq!(player.next(), None);
        assert_eq!(seek(&mut player, 7), []);
        std::fs::write(&path, b"\xff\xfe\n\n{}\n").unwrap();
        let mut player = Player::open(&path).unwrap();
        assert_eq!(seek(&mut player, u64::MAX), []);
        assert_eq!(player.next(), None);
    }
}
