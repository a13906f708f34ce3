//! The exit codes, one table for all commands.
//!
//! In: how a command ended. Out: its code, and the table for `--help`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or it succeeded.
    Success,
    /// The thing failed.
    Failed,
    /// The command was not understood.
    Usage,
    /// The gateway or the bus does not answer.
    Unreachable,
    /// The token or key is not known, or may not do this.
    NotAllowed,
    /// There is no such run, module, push, dead letter or file.
    NotFound,
    /// It was still going on when the time was up.
    Unfinished,
    /// A newer run took its place.
    Superseded,
    /// A slimmed module does not link on its base.
    Refused,
}

impl Exit {
    /// Every end, in the order of the codes.
    pub const ALL: [Self; 9] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::NotAllowed,
        Self::NotFound,
        Self::Unfinished,
        Self::Superseded,
        Self::Refused,
    ];

    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotAllowed => 4,
            Self::NotFound => 5,
            Self::Unfinished => 6,
            Self::Superseded => 7,
            Self::Refused => 8,
        }
    }

    /// What it means, for `--help`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; the run succeeded",
            Self::Failed => "it failed: the run failed, the configuration has errors",
            Self::Usage => "the command was not understood",
            Self::Unreachable => "the gateway or the bus does not answer",
            Self::NotAllowed => "the token or key is not known, or may not do this",
            Self::NotFound => "there is no such run, module, push, dead letter or file",
            Self::Unfinished => "still going on when the time was up (--timeout)",
            Self::Superseded => "a newer run took its place",
            Self::Refused => "the slimmed module does not link on its base",
        }
    }

    /// The table, for `--help`.
    pub fn table() -> String {
        let mut text = String::from("Exit codes:\n");
        for exit in Self::ALL {
            text.push_str(&format!("  {}  {}\n", exit.code(), exit.meaning()));
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
