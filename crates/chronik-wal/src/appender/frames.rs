//! Makes frames of what is waiting, writes and syncs them.

use std::os::unix::fs::FileExt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use chronik_fault::Fault;

use super::{Appender, Waiting, Work};
use crate::error::WalError;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, RecordHeader, record_bytes, write_record};
use crate::io::blocks_up;
use crate::ledger::Misfit;
use crate::notice::Notice;
use crate::record::{Durable, Kind, Record};
use crate::sealed::SealEvent;

/// A frame that is being filled.
struct Frame<T> {
    filled: usize,
    records: u32,
    done: Vec<Durable<T>>,
}

impl<T, S: FnMut(Notice<T>)> Appender<T, S> {
    /// Writes one frame of what is waiting; `false` if there is no space for a segment.
    pub(super) fn write_frame(&mut self) -> Result<bool, WalError> {
        let mut frame = self.fill_frame()?;
        if frame.records == 0 && frame.done.is_empty() {
            if !self.roll()? {
                return Ok(false);
            }
            frame = self.fill_frame()?;
        }
        if frame.records > 0 {
            self.write_and_sync(&frame)?;
        }
        if !frame.done.is_empty() {
            (self.sink)(Notice::Durable(frame.done));
        }
        Ok(true)
    }

    fn room(&self) -> usize {
        let left = self.options.segment_bytes - self.active.position;
        usize::try_from(left).expect("a segment is below 2 GiB")
    }

    /// Takes whole tasks as long as they fit; only a task that is longer than any frame is
    /// split. Takes nothing if the segment has no room for the first.
    fn fill_frame(&mut self) -> Result<Frame<T>, WalError> {
        let room = self.room();
        let limit = room.min(self.options.frame_max);
        let mut frame = Frame {
            filled: FRAME_HEADER_BYTES,
            records: 0,
            done: Vec::new(),
        };
        while let Some(Work::Task(mut waiting)) = self.state.work.pop_front() {
            let whole = frame.filled + waiting.bytes <= limit;
            let too_long = FRAME_HEADER_BYTES + waiting.bytes > self.options.frame_max;
            if whole || (frame.records == 0 && too_long) {
                self.add_records(&mut frame, &mut waiting, limit, room)?;
            }
            if waiting.records.len() > 0 {
                self.state.work.push_front(Work::Task(waiting));
                return Ok(frame);
            }
            frame.done.push(Durable {
                token: waiting.token,
                rows: waiting.rows,
            });
            if !matches!(self.state.work.front(), Some(Work::Task(_))) {
                return Ok(frame);
            }
        }
        Ok(frame)
    }

    fn add_records(
        &mut self,
        frame: &mut Frame<T>,
        waiting: &mut Waiting<T>,
        limit: usize,
        room: usize,
    ) -> Result<(), WalError> {
        while let Some(record) = waiting.records.as_slice().first() {
            let bytes = record_bytes(record.stored_len());
            let alone = frame.records == 0 && FRAME_HEADER_BYTES + bytes > self.options.frame_max;
            if frame.filled + bytes > if alone { room } else { limit } {
                return Ok(());
            }
            let record = waiting
                .records
                .next()
                .expect("the slice has a first record");
            self.add_record(frame, waiting, &record)?;
            waiting.bytes -= bytes;
            self.state.work_bytes -= bytes;
        }
        Ok(())
    }

    fn add_record(
        &mut self,
        frame: &mut Frame<T>,
        waiting: &mut Waiting<T>,
        record: &Record,
    ) -> Result<(), WalError> {
        let header = RecordHeader::of(record, self.next_lsn);
        let segment = &self.active.segment;
        let number = segment.short_number();
        self.ledger
            .apply(&header, number, &|| joined(record))
            .map_err(|misfit| misfit_error(misfit, record))?;
        let position = u32::try_from(self.active.position + frame.filled as u64)
            .expect("a segment is below 2 GiB");
        let needed = blocks_up(frame.filled + record_bytes(record.stored_len()));
        self.state.buffer.grow(needed);
        let out = &mut self.state.buffer.bytes_mut()[frame.filled..];
        frame.filled += write_record(&header, segment.salt(), &record.head, &record.body, out);
        frame.records += 1;
        match record.kind {
            Kind::Entry => {
                let row = header.row(number, position);
                waiting.rows.push((record.group, row));
                self.active
                    .events
                    .push((record.group, SealEvent::Entry(row)));
            }
            Kind::SnapshotInstall | Kind::GroupCreate => {
                self.active.events.push((record.group, SealEvent::Install))
            }
            _ => {}
        }
        Ok(())
    }

    fn write_and_sync(&mut self, frame: &Frame<T>) -> Result<(), WalError> {
        let body = frame.filled - FRAME_HEADER_BYTES;
        let header = FrameHeader {
            lsn: self.next_lsn,
            records: frame.records,
            body_bytes: u32::try_from(body).expect("a frame fits into a segment"),
        };
        let total = blocks_up(frame.filled);
        let bytes = &mut self.state.buffer.bytes_mut()[..total];
        header.write(self.active.segment.salt(), bytes);
        bytes[frame.filled..].fill(0);
        let started = Instant::now();
        let position = self.active.position;
        let path = self.active.segment.path();
        let io_failed = |operation, source| WalError::Io {
            operation,
            path: path.to_owned(),
            position,
            source,
        };
        let (file, planted) = (&self.active.file, self.options.planted);
        let written = file
            .write_all_at(bytes, position)
            .map_err(|error| io_failed("write", error));
        // The kernel may report a lost page only once: after an error nothing is retried.
        let synced = match planted.is(Fault::SyncSkipped) {
            true => written,
            false => {
                written.and_then(|()| file.sync_data().map_err(|error| io_failed("sync", error)))
            }
        };
        if !planted.is(Fault::SyncErrorIgnored) {
            synced?;
        }
        self.counters.synced(started.elapsed());
        self.counters
            .wrote(total as u64, u64::from(frame.records), self.next_lsn);
        self.active.position += total as u64;
        self.active.segment.grew_to(self.active.position);
        self.next_lsn += 1;
        self.state.last_frame_bytes = total;
        Ok(())
    }
}

fn joined(record: &Record) -> Bytes {
    let mut blob = BytesMut::with_capacity(record.stored_len());
    blob.extend_from_slice(&record.head);
    blob.extend_from_slice(&record.body);
    blob.freeze()
}

fn misfit_error(misfit: Misfit, record: &Record) -> WalError {
    match misfit {
        Misfit::UnknownGroup => WalError::UnknownGroup {
            group: record.group,
        },
        Misfit::OutOfRange => WalError::OutOfRange {
            group: record.group,
            index: record.index,
        },
        Misfit::Gap {
            last_index,
            trim_index,
        } => WalError::Gap {
            group: record.group,
            index: record.index,
            last_index,
            trim_index,
        },
    }
}
