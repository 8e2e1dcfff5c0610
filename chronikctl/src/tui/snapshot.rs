//! One frame as text: for scripts, for pages that show what the view looks like, and for tests.

use chronik_admin::v1::EventsRequest;
use futures_util::StreamExt;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::{Duration, sleep, timeout};

use super::data::News;
use super::replay::Player;
use super::screens::Screen;
use super::state::{Event, State};
use super::view::{self, Palette};
use super::{Args, conn, record};
use crate::clock;
use crate::commands::events;
use crate::exit::{Failure, Verdict};
use crate::output;
use crate::session::Session;

/// Remembered events come at once, or there are none.
const EVENTS_WITHIN: Duration = Duration::from_millis(200);

pub(super) async fn print(
    session: &Session,
    args: &Args,
    state: &mut State,
) -> Result<Verdict, Failure> {
    match &args.replay {
        // The last thing that was written down.
        Some(file) => {
            let mut player = Player::open(file)?;
            let told = player.seek(u64::MAX, |at_ms, news| {
                state.update(Event::Tick(at_ms));
                state.update(Event::News(news));
            });
            told.map_err(|error| record::wrong(file, &error))?;
        }
        None => look(session, state).await?,
    }
    // Whoever reads no further has read enough.
    _ = print_frame(state, args.size);
    Ok(Verdict::Yes)
}

fn print_frame(state: &State, size: (u16, u16)) -> Result<(), output::ReaderGone> {
    let area = Rect::new(0, 0, size.0, size.1);
    let mut buffer = Buffer::empty(area);
    view::render(&mut buffer, area, state, Palette::default());
    output::print(&text(&buffer))
}

/// The signs of a frame, without their colours.
pub(super) fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y: u16| {
        let signs = (0..area.width).map(|x| buffer[(x, y)].symbol());
        format!("{}\n", signs.collect::<String>().trim_end())
    };
    (0..area.height).map(line).collect()
}

async fn look(session: &Session, state: &mut State) -> Result<(), Failure> {
    let (_, data) = conn::connect(session).await?;
    state.update(Event::Tick(data.at_ms));
    state.update(Event::News(News::Polled(Box::new(data))));
    let within_ms = conn::EVENTS_WITHIN.as_millis();
    let request = EventsRequest {
        within_ms: u64::try_from(within_ms).unwrap_or(u64::MAX),
        after_ms: 0,
    };
    let mut stream = events::open(session, request).await?;
    let mut happened = Vec::new();
    while let Ok(Some(Ok(event))) = timeout(EVENTS_WITHIN, stream.next()).await {
        happened.push(event);
    }
    state.update(Event::News(News::Happened(happened)));
    if state.page().screen == Screen::Metrics {
        // A rate takes two looks.
        sleep(state.interval).await;
        let news = conn::poll(session, &mut None).await;
        state.update(Event::Tick(clock::wall_ms()));
        state.update(Event::News(news));
    }
    if state.page().screen == Screen::Groups {
        let groups = conn::groups(session).await?;
        state.update(Event::News(News::Groups(groups)));
    }
    Ok(())
}
