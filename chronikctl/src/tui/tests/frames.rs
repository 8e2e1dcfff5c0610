//! Frames of every screen at three sizes and in three states of a cluster, letter by letter and style by style.
//!
//! `RENEW_FRAMES=1 cargo test -p chronikctl frames` writes them again; whoever does so reads the difference.

use std::fs;
use std::path::{Path, PathBuf};

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::fixture::{Weather, frame, page, press};
use crate::tui::screens::Screen;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const RENEW: &str = "RENEW_FRAMES";
const LEGEND: &str = "Lines that begin with | are the screen. Below them, lines that begin with : have a letter for each sign's style:
g good, w warning, b bad, s strong, d dim; a capital letter, or - for plain, where it is reversed.
";

#[test]
fn frames_of_every_screen_are_as_they_were() {
    let hidden = [Screen::Node, Screen::Group, Screen::Consumer];
    for screen in Screen::NUMBERED.into_iter().chain(hidden) {
        let name = format!("{screen:?}").to_lowercase();
        let mut text = LEGEND.to_owned();
        for weather in Weather::ALL {
            for size in SIZES {
                let buffer = frame(&page(weather, screen), size.0, size.1);
                text.push_str(&told(weather.title(), size, &buffer));
            }
        }
        assert_same(&name, &text);
    }
}

#[test]
fn frames_of_everything_that_lies_above_a_screen_are_as_they_were() {
    let overlays = [
        ("help", "?"),
        ("filter", "/orders lag>3"),
        ("palette", ":orders"),
        ("explanation", "2jX"),
        ("json", "y"),
        ("actions", "A"),
        ("waiting", "A\n"),
        ("frozen", "2f"),
    ];
    for (name, keys) in overlays {
        let mut text = LEGEND.to_owned();
        for size in SIZES {
            let mut state = page(Weather::DeadNode, Screen::Overview);
            press(&mut state, keys);
            let buffer = frame(&state, size.0, size.1);
            text.push_str(&told(Weather::DeadNode.title(), size, &buffer));
        }
        assert_same(name, &text);
    }
}

fn assert_same(name: &str, made: &str) {
    let path = folder().join(format!("{name}.txt"));
    #[expect(
        clippy::disallowed_methods,
        reason = "a person says so when frames are to be written again"
    )]
    if std::env::var(RENEW).is_ok() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = made.lines().zip(kept.lines()).zip(1..);
    let differs = lines.find(|((made, kept), _)| made != kept);
    assert!(
        kept == made,
        "{} differs, first in {differs:#?}; if that is right: {RENEW}=1 cargo test -p chronikctl frames",
        path.display()
    );
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui/tests/frames")
}

fn told(state: &str, (width, height): (u16, u16), buffer: &Buffer) -> String {
    let mut text = format!("\n=== {state}, {width}x{height}\n");
    for y in 0..height {
        let cells = (0..width).map(|x| &buffer[(x, y)]);
        let signs: String = cells.clone().map(Cell::symbol).collect();
        let styles: String = cells.map(letter).collect();
        text.push_str(format!("|{}", signs.trim_end()).trim_end());
        text.push('\n');
        if !styles.trim_end().is_empty() {
            text.push_str(&format!(":{}\n", styles.trim_end()));
        }
    }
    text
}

/// One letter for a style. A style without one is a mistake.
fn letter(cell: &Cell) -> char {
    let is_bold = cell.modifier.contains(Modifier::BOLD);
    let is_reversed = cell.modifier.contains(Modifier::REVERSED);
    let known = Modifier::BOLD | Modifier::REVERSED;
    assert!(
        known.contains(cell.modifier) && cell.bg == Color::Reset,
        "{cell:?}"
    );
    let letter = match (cell.fg, is_bold) {
        (Color::Reset, false) if is_reversed => '-',
        (Color::Reset, false) => ' ',
        (Color::Reset, true) => 's',
        (Color::DarkGray, false) => 'd',
        (Color::Green, false) => 'g',
        (Color::Yellow, false) => 'w',
        (Color::Red, true) => 'b',
        _ => panic!("no letter for {cell:?}"),
    };
    match is_reversed {
        true => letter.to_ascii_uppercase(),
        false => letter,
    }
}
