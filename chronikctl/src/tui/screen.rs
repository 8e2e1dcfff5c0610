//! The terminal: taken over at the beginning, and given back whatever happens.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use ratatui::crossterm::event::{self, KeyEventKind};
use ratatui::{DefaultTerminal, Frame};
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::mpsc::Sender;

use super::state::Event;
use crate::clock;
use crate::exit::Failure;
use crate::output::hush;

pub(super) struct Terminal {
    inner: DefaultTerminal,
}

/// How long a reader of keys sleeps before it looks whether the view is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Terminal {
    /// Takes the terminal over; a panic gives it back first.
    pub(super) fn open() -> Result<Terminal, Failure> {
        if !stdout().is_terminal() || !stdin().is_terminal() {
            return Err(Failure::declined("there is no terminal to draw on")
                .hint("chronikctl tui --snapshot prints one frame"));
        }
        let inner = ratatui::try_init().map_err(|error| broken(&error))?;
        hush(true);
        Ok(Terminal { inner })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.inner.draw(draw).map_err(|error| broken(&error))?;
        Ok(())
    }

    /// Gives the terminal back until somebody brings the program to the front again.
    pub(super) fn suspend(&mut self) -> Result<(), Failure> {
        ratatui::restore();
        kill_process(getpid(), Signal::TSTP).map_err(|error| broken(&error.into()))?;
        self.inner = ratatui::try_init().map_err(|error| broken(&error))?;
        self.inner.clear().map_err(|error| broken(&error))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
        hush(false);
    }
}

/// Reads keys on a thread of its own, which ends soon after the view.
pub(super) fn read_keys(out: Sender<Event>) {
    std::thread::spawn(move || {
        while !out.is_closed() {
            let event = match event::poll(LOOK_AGAIN) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(_) => return,
            };
            let event = match event {
                Ok(event::Event::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
                // Another size is drawn with the next frame.
                Ok(event::Event::Resize(..)) => Event::Tick(clock::wall_ms()),
                Ok(_) => continue,
                Err(_) => return,
            };
            if out.blocking_send(event).is_err() {
                return;
            }
        }
    });
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new(
        chronik_admin::Code::Internal,
        format!("the terminal: {error}"),
    )
}
