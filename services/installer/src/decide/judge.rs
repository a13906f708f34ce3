//! What to make of one look at a base while a change is under way.
//!
//! In: what the change aims at, what the base shows and what it remembers of the request, and for how
//! long it has shown just that. Out: a verdict. What is shown decides; the memory only tells when to
//! stop waiting, because it may be missing, stuck or wrong.

use std::time::Duration;

use ferry_ark::BizState;
use ferry_events::{Reason, Stop};

use super::Present;

/// An uninstall whose version is gone may go on for a moment; its lock is waited for this long. A stuck
/// record costs no more than this.
const LOCK_GRACE: Duration = Duration::from_millis(250);
/// How long a look that contradicts the base's own memory must stand: states follow within milliseconds.
const DOUBT: Duration = Duration::from_millis(500);
/// How long a refused request waits for the one that holds the lock.
const REFUSED_GRACE: Duration = Duration::from_secs(2);
/// How long a request may be unknown to the base after it was sent: it takes a call within one loop turn.
const UNKNOWN_GRACE: Duration = Duration::from_millis(200);

/// What a change aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim<'a> {
    /// The version is active.
    Active(&'a str),
    /// The version is gone.
    Gone(&'a str),
}

/// What a base remembers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing: it never came, or the base was restarted since.
    Unknown,
    /// It is under way, or the record is stuck.
    Running,
    /// Done, says the base.
    Succeeded,
    /// Over, with the cause.
    Failed(String),
    /// Over and not done, but the base cannot write the cause down.
    Untold,
    /// Another command held the module's lock.
    Refused(String),
    /// The request id was used up on purpose: what it stood for never happens.
    Burnt,
}

/// One look at a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The module's versions.
    pub seen: Vec<Present>,
    /// What the base remembers of the request.
    pub recorded: Recorded,
}

/// What to make of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not over.
    Wait,
    /// The base shows what was meant.
    Done,
    /// It is over, and the base shows something else.
    Failed(Stop),
    /// It failed, and the base cannot say why.
    Untold,
    /// It did not happen and will not under this request id.
    Void(String),
    /// The base does not know the request: use its id up before anything else.
    Burn,
}

impl Look {
    fn find(&self, version: &str) -> Option<&Present> {
        self.seen.iter().find(|present| present.version == version)
    }

    /// What is shown, in a few words.
    fn of(&self, version: &str) -> String {
        self.find(version).map_or_else(
            || "not there".to_owned(),
            |present| present.state.to_string(),
        )
    }
}

/// Judges a look that has been the same for `still`.
pub fn judge(aim: Aim<'_>, look: &Look, still: Duration) -> Verdict {
    match aim {
        Aim::Active(version) => judge_install(version, look, still),
        Aim::Gone(version) => judge_uninstall(version, look, still),
    }
}

fn judge_install(version: &str, look: &Look, still: Duration) -> Verdict {
    let state = look.find(version).map(|present| present.state);
    if state.is_some_and(BizState::is_active) {
        return Verdict::Done;
    }
    // Someone is starting it, whatever became of this request.
    let starting = state == Some(BizState::Resolved);
    let shown = look.of(version);
    match &look.recorded {
        Recorded::Burnt if starting => Verdict::Wait,
        Recorded::Burnt => Verdict::Void("its request id was used up".into()),
        Recorded::Running => Verdict::Wait,
        Recorded::Failed(_) | Recorded::Untold | Recorded::Refused(_) if starting => Verdict::Wait,
        Recorded::Untold => Verdict::Untold,
        Recorded::Failed(why) => Verdict::Failed(Stop::new(Reason::InstallFailed, why.as_str())),
        Recorded::Refused(_) if still < REFUSED_GRACE => Verdict::Wait,
        Recorded::Refused(why) => Verdict::Void(why.clone()),
        Recorded::Succeeded if still < DOUBT => Verdict::Wait,
        Recorded::Succeeded => {
            let why = format!("the base reports success for {version}, which is {shown}");
            Verdict::Failed(Stop::new(Reason::InstallUnclear, why))
        }
        Recorded::Unknown if starting || still < UNKNOWN_GRACE => Verdict::Wait,
        Recorded::Unknown => Verdict::Burn,
    }
}

fn judge_uninstall(version: &str, look: &Look, still: Duration) -> Verdict {
    let gone = look.find(version).is_none();
    let shown = look.of(version);
    if gone {
        return match &look.recorded {
            Recorded::Running if still < LOCK_GRACE => Verdict::Wait,
            // Its call may still be on the way, and a later install of the same version would be hit.
            Recorded::Unknown if still < UNKNOWN_GRACE => Verdict::Wait,
            Recorded::Unknown => Verdict::Burn,
            _ => Verdict::Done,
        };
    }
    match &look.recorded {
        Recorded::Burnt => Verdict::Void("its request id was used up".into()),
        Recorded::Running => Verdict::Wait,
        Recorded::Failed(_) | Recorded::Untold | Recorded::Succeeded if still < DOUBT => {
            Verdict::Wait
        }
        Recorded::Untold => {
            let why = format!("{version} is {shown}; the base cannot say why, its log does");
            Verdict::Failed(Stop::new(Reason::UninstallFailed, why))
        }
        Recorded::Failed(why) => Verdict::Failed(Stop::new(
            Reason::UninstallFailed,
            format!("{version} is {shown}: {why}"),
        )),
        Recorded::Succeeded => {
            let why = format!("the base reports that {version} is out, which is {shown}");
            Verdict::Failed(Stop::new(Reason::UninstallFailed, why))
        }
        Recorded::Refused(_) if still < REFUSED_GRACE => Verdict::Wait,
        Recorded::Refused(why) => Verdict::Void(why.clone()),
        Recorded::Unknown if still < UNKNOWN_GRACE => Verdict::Wait,
        Recorded::Unknown => Verdict::Burn,
    }
}

/// Whether a cause is one of those that Java's `URL.openStream` gives. A module's own start can fail with
/// the same words: ask only where it is not known that the jar was fetched.
pub fn is_download(cause: &str) -> bool {
    const CAUSES: [&str; 9] = [
        "java.net.ConnectException",
        "java.net.SocketException",
        "java.net.SocketTimeoutException",
        "java.net.UnknownHostException",
        "java.net.NoRouteToHostException",
        "java.io.FileNotFoundException: http",
        "java.io.IOException: Premature EOF",
        "java.io.IOException: Server returned HTTP",
        "java.io.EOFException",
    ];
    CAUSES.iter().any(|one| cause.starts_with(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn look(state: Option<BizState>, recorded: Recorded) -> Look {
        let seen = state.map(|state| Present {
            version: "2".into(),
            state,
            web: false,
        });
        Look {
            seen: seen.into_iter().collect(),
            recorded,
        }
    }

    #[test]
    fn what_is_shown_decides_whatever_the_base_remembers() {
        let all = [
            Recorded::Unknown,
            Recorded::Running,
            Recorded::Succeeded,
            Recorded::Failed("x".into()),
            Recorded::Untold,
            Recorded::Refused("x".into()),
            Recorded::Burnt,
        ];
        for recorded in all {
            let there = look(Some(BizState::Activated), recorded.clone());
            assert_eq!(
                judge(Aim::Active("2"), &there, Duration::ZERO),
                Verdict::Done,
                "{recorded:?}"
            );
            assert_ne!(
                judge(Aim::Gone("2"), &there, LONG),
                Verdict::Done,
                "{recorded:?}"
            );
            let gone = look(None, recorded.clone());
            assert_ne!(
                judge(Aim::Active("2"), &gone, LONG),
                Verdict::Done,
                "{recorded:?}"
            );
        }
    }

    #[test]
    fn a_module_without_spring_answers_an_error_and_is_gone() {
        let gone = look(None, Recorded::Failed("CMD_PROCESS_INTERNAL_ERROR".into()));
        assert_eq!(judge(Aim::Gone("2"), &gone, Duration::ZERO), Verdict::Done);
    }

    #[test]
    fn a_failed_start_has_its_cause() {
        let failed = look(
            None,
            Recorded::Failed("java.lang.IllegalStateException: no price".into()),
        );
        let Verdict::Failed(stop) = judge(Aim::Active("2"), &failed, Duration::ZERO) else {
            panic!()
        };
        assert_eq!(stop.reason, Reason::InstallFailed);
        assert_eq!(stop.detail, "java.lang.IllegalStateException: no price");
    }

    #[test]
    fn a_request_that_the_base_does_not_know_is_used_up_before_another_is_made() {
        let lost = look(None, Recorded::Unknown);
        assert_eq!(
            judge(Aim::Active("2"), &lost, Duration::ZERO),
            Verdict::Wait
        );
        assert_eq!(judge(Aim::Active("2"), &lost, LONG), Verdict::Burn);
        let burnt = look(None, Recorded::Burnt);
        assert!(matches!(
            judge(Aim::Active("2"), &burnt, Duration::ZERO),
            Verdict::Void(_)
        ));
    }

    #[test]
    fn a_success_that_is_not_seen_is_no_success() {
        let claimed = look(None, Recorded::Succeeded);
        assert_eq!(
            judge(Aim::Active("2"), &claimed, Duration::ZERO),
            Verdict::Wait
        );
        let Verdict::Failed(stop) = judge(Aim::Active("2"), &claimed, LONG) else {
            panic!()
        };
        assert_eq!(stop.reason, Reason::InstallUnclear);
    }

    #[test]
    fn a_stuck_record_delays_an_uninstall_by_a_moment_only() {
        let gone = look(None, Recorded::Running);
        assert_eq!(judge(Aim::Gone("2"), &gone, Duration::ZERO), Verdict::Wait);
        assert_eq!(judge(Aim::Gone("2"), &gone, LOCK_GRACE), Verdict::Done);
    }

    #[test]
    fn a_lock_conflict_waits_for_the_one_that_holds_it() {
        let refused = look(None, Recorded::Refused("conflict".into()));
        assert_eq!(judge(Aim::Active("2"), &refused, DOUBT), Verdict::Wait);
        assert_eq!(
            judge(Aim::Active("2"), &refused, LONG),
            Verdict::Void("conflict".into())
        );
        let starting = look(
            Some(BizState::Resolved),
            Recorded::Refused("conflict".into()),
        );
        assert_eq!(judge(Aim::Active("2"), &starting, LONG), Verdict::Wait);
    }
}
