//! What is seen on the screen: data in, text out. Nothing here reads a clock, a
//! terminal or a file.

mod attention;
mod base;
mod can;
mod change;
mod dead;
mod event;
mod gate;
mod history;
mod log;
mod module;
mod paint;
mod plan;
mod push;
mod run;
mod runs;
mod slim;
mod slim_page;
mod status;
mod text;
mod timing;
mod why;
mod words;

pub use attention::Attention;
pub use base::bases;
pub use can::can;
pub use change::{asked, settled};
pub use dead::{closed, letter, letters};
pub use event::{event_line, history_line, is_bad};
pub use history::history;
pub use log::log_line;
pub use module::modules;
pub use paint::{Paint, Tone};
pub use plan::plan;
pub use push::{push, push_line};
pub use run::{end_of_run, run, stop};
pub use runs::runs;
pub use slim::{profile, profile_diff, slimmed};
pub use slim_page::slim_page;
pub use status::{Status, status};
pub use text::{age, bytes, elapsed, one_line, short, took};
pub use timing::timing;
pub use why::why;
pub use words::event_words;
