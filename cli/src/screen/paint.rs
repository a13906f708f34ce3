//! Colours and tables.
//!
//! In: text with a tone. Out: text, with escape codes only where they are wanted.

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color, Table, presets::NOTHING};

/// Whether text may have colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// No escape codes.
    #[default]
    Plain,
    /// Colours of a terminal.
    Colour,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// It needs attention.
    Bad,
    /// It is under way.
    Busy,
    /// It matters less.
    Faint,
    /// It names what follows.
    Strong,
}

impl Paint {
    /// Text in a tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Busy => AnsiColor::Yellow.on_default(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("{style}{text}{style:#}"),
        }
    }

    /// It is well.
    pub fn good(self, text: &str) -> String {
        self.tone(Tone::Good, text)
    }

    /// It needs attention.
    pub fn bad(self, text: &str) -> String {
        self.tone(Tone::Bad, text)
    }

    /// It matters less.
    pub fn faint(self, text: &str) -> String {
        self.tone(Tone::Faint, text)
    }

    /// It names what follows.
    pub fn strong(self, text: &str) -> String {
        self.tone(Tone::Strong, text)
    }
}

/// A cell of a table: its text and tone.
pub(super) type Toned = (String, Tone);

/// A plain cell.
pub(super) fn plain(text: impl Into<String>) -> Toned {
    (text.into(), Tone::Plain)
}

/// A table with a header, its columns two spaces apart, without a trailing line end.
pub(super) fn table(paint: Paint, header: &[&str], rows: Vec<Vec<Toned>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    match paint {
        Paint::Plain => table.force_no_tty(),
        Paint::Colour => table.enforce_styling(),
    };
    if !header.is_empty() {
        table.set_header(
            header
                .iter()
                .map(|name| cell((*name).to_owned(), Tone::Faint)),
        );
    }
    for row in rows {
        table.add_row(row.into_iter().map(|(text, tone)| cell(text, tone)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn cell(text: String, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Busy => cell.fg(Color::Yellow),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}

/// Each line with some spaces before it.
pub(super) fn indent(text: &str, by: usize) -> String {
    let before = " ".repeat(by);
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("{before}{line}")
            }
        })
        .collect();
    lines.join("\n")
}
