//! The live view (`--tui`): a thread of its own draws what a load tells once a second, and reads keys. The load never
//! waits for it, and its numbers are those that go to disk.

mod state;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::state::State;
use crate::collect::Row;
use crate::sampling::HostRow;
use crate::signals::Signals;

/// A view that does not keep up misses a second of the picture; the files have it.
const NEWS_MAX: usize = 256;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the load tells.
pub(super) enum News {
    Phase(String),
    Remark(String),
    Row(Box<Row>),
    Host(Box<HostRow>),
}

/// The load's end of the view; dropping it gives the terminal back.
pub(super) struct Live {
    news: Option<SyncSender<News>>,
    screen: Option<JoinHandle<()>>,
}

impl Live {
    /// Takes the terminal over.
    pub(super) fn open(
        title: &str,
        expected: Option<Duration>,
        signals: &Signals,
    ) -> io::Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other("there is no terminal to draw on"));
        }
        let mut terminal = ratatui::try_init()?;
        let (news, told) = sync_channel(NEWS_MAX);
        let mut state = State::new(title, expected);
        let signals = signals.clone();
        let screen = thread::spawn(move || {
            while take_in(&told, &mut state) {
                obey_keys(&signals);
                // A terminal that has gone away is no reason to end a load.
                let _ = terminal.draw(|frame| view::draw(frame, &state));
            }
            ratatui::restore();
        });
        Ok(Self {
            news: Some(news),
            screen: Some(screen),
        })
    }

    pub(super) fn tell(&self, news: News) {
        if let Some(channel) = &self.news {
            let _ = channel.try_send(news);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.news = None;
        if let Some(screen) = self.screen.take() {
            let _ = screen.join();
        }
    }
}

/// Waits a moment for news and takes all of it; false when the load is over.
fn take_in(told: &Receiver<News>, state: &mut State) -> bool {
    match told.recv_timeout(LOOK_EVERY) {
        Ok(news) => state.take(news),
        Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    while let Ok(news) = told.try_recv() {
        state.take(news);
    }
    true
}

/// A terminal in raw mode sends no signals: the keys do what they would do.
fn obey_keys(signals: &Signals) {
    while event::poll(Duration::ZERO).unwrap_or(false) {
        let Ok(Event::Key(key)) = event::read() else {
            continue;
        };
        match key {
            KeyEvent {
                kind: KeyEventKind::Release,
                ..
            } => {}
            KeyEvent {
                code: KeyCode::Char('q') | KeyCode::Esc,
                ..
            } => signals.interrupt(),
            KeyEvent {
                code: KeyCode::Char('c'),
                modifiers: KeyModifiers::CONTROL,
                ..
            } => signals.interrupt(),
            KeyEvent {
                code: KeyCode::Char('s'),
                ..
            } => signals.ask_for_snapshot(),
            _ => {}
        }
    }
}
