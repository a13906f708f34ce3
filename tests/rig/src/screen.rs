//! What the programs show while they work: spinners on a terminal, plain lines
//! elsewhere.
//!
//! In: what is being done. Out: text; lines on stdout, or on stderr where stdout
//! is kept for data.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use ferry_cli::screen::{Paint, took};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TURN_EVERY: Duration = Duration::from_millis(120);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Screen {
    bars: Option<MultiProgress>,
    paint: Paint,
    errors_only: bool,
}

impl Screen {
    /// Lines on stdout.
    pub fn new() -> Self {
        Self::of(std::io::stdout().is_terminal(), false)
    }

    /// Lines on stderr: stdout is for data.
    pub fn beside_data() -> Self {
        Self::of(true, true)
    }

    fn of(terminal: bool, errors_only: bool) -> Self {
        let terminal = terminal && std::io::stderr().is_terminal();
        // https://no-color.org: set to anything but nothing.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            bars: terminal.then(MultiProgress::new),
            paint: if terminal && !plain {
                Paint::Colour
            } else {
                Paint::Plain
            },
            errors_only,
        }
    }

    /// Colours or none.
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether a person looks at it.
    pub fn is_terminal(&self) -> bool {
        self.bars.is_some()
    }

    /// One line, or several.
    pub fn line(&self, text: &str) {
        let write = || {
            // A closed pipe is no reason to end in the middle.
            if self.errors_only {
                writeln!(std::io::stderr().lock(), "{text}").ok();
            } else {
                let mut out = std::io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush()).ok();
            }
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// A heading.
    pub fn title(&self, text: &str) {
        self.line(&format!("\n{}", self.paint.strong(text)));
    }

    /// Something that needs a reader's eye: each line with a mark before it.
    pub fn loud(&self, text: &str) {
        for line in text.lines() {
            self.line(&self.paint.bad(&format!("!!! {line}")));
        }
    }

    /// Work that takes a while; tell its end with [`Step::done`].
    pub fn step(&self, what: &str) -> Step {
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(TURN_EVERY);
            bar
        });
        if bar.is_none() {
            self.line(&format!("… {what}"));
        }
        Step {
            bar,
            screen: self.clone(),
            began: Instant::now(),
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// Work under way; its spinner goes when this is dropped.
#[derive(Debug)]
pub struct Step {
    bar: Option<ProgressBar>,
    screen: Screen,
    began: Instant,
}

impl Step {
    /// Changes what it says.
    pub fn now(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// It is done: says so, with how long it took.
    pub fn done(self, what: &str) {
        self.clear();
        let paint = self.screen.paint;
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let took = paint.faint(&took(millis));
        self.screen
            .line(&format!("{} {what}  {took}", paint.good("✔")));
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}
