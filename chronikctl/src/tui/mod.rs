//! A live view of a cluster. News and keys become events, events change a plain state, and the state is drawn; what
//! has to be done outside comes back as effects.

mod action;
mod conn;
mod data;
mod grid;
mod keys;
mod metrics;
mod overlay;
mod prompt;
mod record;
mod replay;
mod screen;
mod screens;
mod series;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod trend;
mod view;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::LocalSet;
use tokio::time::{interval, sleep_until};

use crate::cli::duration;
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::session::Session;
use conn::Wants;
use record::Recorder;
use replay::{Player, Steer};
use screen::Terminal;
use screens::Screen;
use state::{About, Effect, Event, State};
use view::Palette;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The screen to begin with
    #[arg(long, value_name = "VIEW", default_value = "overview")]
    view: Screen,
    /// How often the cluster is asked; not more often than 250ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,
    /// Offer nothing that changes anything
    #[arg(long)]
    read_only: bool,
    /// Print one frame as text and end
    #[arg(long)]
    snapshot: bool,
    /// How large the frame is
    #[arg(long, value_name = "COLUMNSxROWS", default_value = "120x40", value_parser = size, requires = "snapshot")]
    size: (u16, u16),
    /// A filter to begin with
    #[arg(long, value_name = "FILTER", default_value = "")]
    filter: String,
    /// Write down what is seen
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Show what was written down
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// So many times as fast as it was
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, requires = "replay")]
    speed: f64,
}

/// Events that wait to be taken in.
const QUEUE: usize = 256;
/// Keys that wait for a recording.
const STEERS: usize = 16;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);
/// Frames that only news asks for come no faster.
const FRAME: Duration = Duration::from_millis(100);
/// Time goes on at the head of the screen.
const TICK: Duration = Duration::from_millis(500);

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Verdict, Failure> {
    let mut state = begin(session, args);
    if args.snapshot {
        return snapshot::print(session, args, &mut state).await;
    }
    let session = Rc::new(Session::new(session.settings.clone()));
    let wants = Rc::new(Wants {
        interval: Cell::new(state.interval),
        groups: Cell::new(false),
    });
    let (sender, receiver) = channel(QUEUE);
    let (steer, steered) = sync_channel(STEERS);
    let recorder = args.record.as_deref().map(Recorder::create).transpose()?;
    let tasks = LocalSet::new();
    match &args.replay {
        Some(file) => {
            let player = Player::open(file)?;
            let (speed, sender) = (args.speed, sender.clone());
            // It reads a file, however large, while the view answers keys.
            std::thread::spawn(move || replay::play(player, speed, &steered, &sender));
        }
        None => {
            let (polled, grouped) = (session.clone(), session.clone());
            tasks.spawn_local(conn::poll_all(polled, wants.clone(), sender.clone()));
            tasks.spawn_local(conn::poll_groups(grouped, wants.clone(), sender.clone()));
            tasks.spawn_local(conn::follow_events(session.clone(), sender.clone()));
        }
    }
    let palette = Palette {
        is_coloured: session.settings.printer.paint.is_on,
    };
    let mut shell = Shell {
        session,
        wants,
        sender,
        steer,
        recorder,
        palette,
    };
    let ended = tasks.run_until(shell.run(&mut state, receiver)).await;
    ended.map(|()| Verdict::Yes)
}

fn begin(session: &Session, args: &Args) -> State {
    let context = &session.settings.context;
    let about = About {
        context: context.name.clone(),
        is_protected: context.protect,
        is_read_only: args.read_only || context.read_only,
        is_replay: args.replay.is_some(),
    };
    let mut state = State::new(about, args.view, args.interval.max(SHORTEST_INTERVAL));
    state.page_mut().filter.clone_from(&args.filter);
    state.play.speed = args.speed;
    state
}

/// What is around the state: the screen, the tasks, and the file of a recording.
struct Shell {
    session: Rc<Session>,
    wants: Rc<Wants>,
    sender: Sender<Event>,
    steer: SyncSender<Steer>,
    recorder: Option<Recorder>,
    palette: Palette,
}

impl Shell {
    async fn run(&mut self, state: &mut State, mut events: Receiver<Event>) -> Result<(), Failure> {
        let mut terminal = Terminal::open()?;
        screen::read_keys(self.sender.clone());
        let mut ticks = interval(TICK);
        let mut due = Instant::now();
        let mut is_stale = true;
        loop {
            tokio::select! {
                Some(event) = events.recv() => {
                    // A person's key is answered at once, news may wait for the next frame.
                    if matches!(event, Event::Key(_)) {
                        due = Instant::now();
                    }
                    is_stale = true;
                    if self.take(state, event, &mut terminal)? {
                        return Ok(());
                    }
                    continue;
                }
                _ = ticks.tick(), if !state.about.is_replay => {
                    state.update(Event::Tick(clock::wall_ms()));
                    is_stale = true;
                }
                () = sleep_until(due.into()), if is_stale => {
                    terminal.draw(|frame| view::draw(frame, state, self.palette))?;
                    is_stale = false;
                    due = Instant::now() + FRAME;
                }
            }
        }
    }

    /// Takes one event in; whether that was the end.
    fn take(
        &mut self,
        state: &mut State,
        event: Event,
        terminal: &mut Terminal,
    ) -> Result<bool, Failure> {
        if let (Some(recorder), Event::News(news)) = (&mut self.recorder, &event)
            && let Err(error) = recorder.write(clock::wall_ms(), news)
        {
            self.recorder = None;
            state.update(Event::Done(Err(format!("the recording ends: {error}"))));
        }
        for effect in state.update(event) {
            let (session, sender) = (self.session.clone(), self.sender.clone());
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Suspend => terminal.suspend()?,
                Effect::Interval(interval) => self.wants.interval.set(interval),
                Effect::Plan(action) => {
                    tokio::task::spawn_local(conn::plan(session, action, sender));
                }
                // Keys that come faster than a recording can be read are not all needed.
                Effect::Steer(steer) => _ = self.steer.try_send(steer),
                Effect::Act(action, confirmed) => {
                    tokio::task::spawn_local(conn::act(session, action, confirmed, sender));
                }
            }
        }
        let screen = state.page().screen;
        let wants_groups = matches!(screen, Screen::Groups | Screen::Consumer);
        self.wants.groups.set(wants_groups);
        Ok(false)
    }
}

/// `120x40`.
fn size(text: &str) -> Result<(u16, u16), String> {
    let parse = || {
        let (columns, rows) = text.split_once('x')?;
        Some((columns.parse().ok()?, rows.parse().ok()?))
    };
    parse().ok_or_else(|| format!("{text:?} is no size; try 120x40"))
}
