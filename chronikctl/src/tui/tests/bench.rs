//! How long a key takes: `cargo test --release -p chronikctl a_key_of_a_filter -- --ignored --nocapture` prints it.

use std::time::{Duration, Instant};

use super::fixture::{data, frame, press, with};
use crate::tui::data::News;
use crate::tui::screens::Screen;
use crate::tui::state::Event;

const PARTITIONS: u64 = 10_000;
const ROUNDS: usize = 20;

#[test]
#[ignore = "prints how long a key takes; nothing is asserted"]
fn a_key_of_a_filter_until_its_frame_with_10000_partitions() {
    let whole = data(PARTITIONS, true);
    let mut state = with(whole.clone(), Screen::Partitions);
    // Whoever types has seen a frame.
    frame(&state, 200, 60);
    let (mut between, mut polls, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        press(&mut state, "/");
        for letter in ["o", "r", "d", "e", "r", "s", "/", "7"] {
            let begun = Instant::now();
            press(&mut state, letter);
            frame(&state, 200, 60);
            between.push(begun.elapsed());
        }
        press(&mut state, "\x1b");
        let news = Event::News(News::Polled(Box::new(whole.clone())));
        let begun = Instant::now();
        state.update(news);
        polls.push(begun.elapsed());
        press(&mut state, "/");
        let begun = Instant::now();
        press(&mut state, "7");
        frame(&state, 200, 60);
        after.push(begun.elapsed());
        press(&mut state, "\x1b");
    }
    println!("{PARTITIONS} partitions, 200x60, from a key of the filter to its frame");
    print("between two polls", between);
    print("the first after a poll", after);
    println!("{PARTITIONS} partitions, the work that a poll is");
    print("from the answer to the rows", polls);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{what}: median {median:.1?}, longest {most:.1?} of {}",
        times.len()
    );
}
