//! Colours, once for all screens. A word or a sign always says the same.

use ratatui::style::{Color, Modifier, Style};

use crate::output::Tone;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Palette {
    pub(crate) is_coloured: bool,
}

impl Palette {
    pub(crate) fn style(self, tone: Tone) -> Style {
        let plain = Style::default();
        match (tone, self.is_coloured) {
            (Tone::Plain, _) => plain,
            (Tone::Strong, _) => plain.add_modifier(Modifier::BOLD),
            (Tone::Dim, true) => plain.fg(Color::DarkGray),
            (Tone::Dim, false) => plain.add_modifier(Modifier::DIM),
            (Tone::Good, true) => plain.fg(Color::Green),
            (Tone::Warn, true) => plain.fg(Color::Yellow),
            (Tone::Bad, true) => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Warn | Tone::Bad, false) => plain.add_modifier(Modifier::BOLD),
            (Tone::Good, false) => plain,
        }
    }

    /// The row that the keys are about; its sign is an arrow at the edge.
    pub(crate) fn selected(self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }
}
