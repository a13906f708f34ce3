//! A small world for tests, as a gateway has it: what all of it shares.
//!
//! In: nothing. Out: values of the API's own types, with fixed ids and times.

#![allow(dead_code, reason = "each test uses a part of it")]

mod bases;
mod events;
mod gates;
mod letters;
mod runs;
mod why;

use chrono::TimeDelta;
use ferry_events::{CommandId, PushId, Reason, RunId, Stop, Timestamp};

pub use bases::*;
pub use events::*;
pub use gates::*;
pub use letters::*;
pub use runs::*;
pub use why::*;

/// The commit of every run.
pub const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678";

/// The version of version two.
pub const VERSION: &str = "1.0.0-1a2b3c4d-0123456789ab";

/// The version before.
pub const BEFORE: &str = "1.0.0-0badcafe-ba9876543210";

/// When the push came.
pub fn began() -> Timestamp {
    "2026-03-04T05:06:07Z".parse().expect("a time")
}

/// So many milliseconds later.
pub fn at(millis: i64) -> Timestamp {
    began() + TimeDelta::milliseconds(millis)
}

/// Three minutes later: when the screens are looked at.
pub fn now() -> Timestamp {
    at(180_000)
}

/// The push.
pub fn push_id() -> PushId {
    PushId::of("github", "hello", "delivery", "refs/heads/main")
}

/// The run that succeeds.
pub fn good_run() -> RunId {
    RunId::of("hello", "main", 2, "hello")
}

/// The run that fails.
pub fn bad_run() -> RunId {
    RunId::of("hello", "main", 3, "hello")
}

/// What a person asked for.
pub fn command_id() -> CommandId {
    CommandId(uuid(7))
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

/// A cause as a base tells it, with an attempt to paint.
pub fn cause() -> String {
    "BeanCreationException: no bean \u{1b}[31mPriceList\u{1b}[0m\n\tat ferry.demo.Hello\n  caused by: NullPointerException".to_owned()
}

fn stop() -> Stop {
    Stop::new(Reason::InstallFailed, cause()).on("prod-1")
}
