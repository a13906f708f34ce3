//! The transitions around a restart of a base: out of its load balancer, restarted, back once it is told so.
//!
//! In: a turn of this decision, what was asked for, what came of it. Out: the same turn. While the base is being
//! restarted no task begins; between its answer and the end of the restart tasks bring its modules back, and it
//! stays out of its load balancer.

use std::collections::BTreeSet;

use ferry_events::{
    Scope, Stop, Timestamp,
    restart::{Finished, Over, Requested, Turn as RestartTurn},
};
use ferry_runtime::Say;
use serde::{Deserialize, Serialize};

use super::{
    Base,
    phase::{Turn, without_result},
};

/// A restart in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// Whose turn it is.
    pub turn: RestartTurn,
    /// After this the driver is not called.
    pub begin_by: Timestamp,
    /// How far it is.
    pub stage: RestartStage,
    /// For which modules it is out of its load balancer; none: the pool has no drain.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub out: BTreeSet<String>,
    /// Time spent on draining, in milliseconds.
    #[serde(default)]
    pub millis: u64,
}

/// How far a restart is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartStage {
    /// The base is being taken out of its load balancer.
    Drain,
    /// Its driver is called, and it is waited for.
    Drive,
    /// It is done, and tasks bring its modules back.
    Settle,
    /// It is being put back into its load balancer.
    Undrain,
}

/// What came of one stage.
#[derive(Clone, Debug)]
pub struct Restarted {
    /// Whose turn it is.
    pub turn: RestartTurn,
    /// Which stage it was.
    pub stage: RestartStage,
    /// Why it did not succeed.
    pub stop: Option<Stop>,
    /// When the driver's command had ended.
    pub ended: Option<Timestamp>,
    /// Time spent, in milliseconds.
    pub millis: u64,
}

impl Restart {
    /// Whether it keeps tasks from the base.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.stage, RestartStage::Drain | RestartStage::Drive)
    }
}

impl Base {
    /// Whether a restart has it out of its load balancer, for every module.
    pub fn is_out_for_restart(&self) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|it| it.stage != RestartStage::Undrain && !it.out.is_empty())
    }

    /// Whether a restart keeps tasks from it.
    pub(super) fn is_being_restarted(&self) -> bool {
        self.restart.as_ref().is_some_and(Restart::is_exclusive)
    }
}

impl Turn<'_> {
    pub(super) fn restart(&mut self, asked: &Requested) {
        let turn = &asked.turn;
        let known = self.base.restart.as_ref();
        if turn.number <= self.base.restarts_over || known.is_some_and(|it| it.turn == *turn) {
            return;
        }
        self.name = Some(turn.base.clone());
        let pool = self.context.config.pools.get(&turn.pool);
        let mut out = BTreeSet::new();
        if let Some(drain) = pool.and_then(|pool| pool.drain.as_ref()) {
            // What another task could not put back comes back with this.
            let drained = std::mem::take(&mut self.base.drained).into_keys();
            if drain.is_by_module() {
                let there = self.base.modules.iter();
                let there = there.filter(|(_, module)| {
                    let left = module.left.as_ref();
                    left.is_some_and(|left| left.version.is_some())
                });
                out.extend(there.map(|(name, _)| name.clone()).chain(drained));
            }
            // One call does for all.
            if out.is_empty() {
                out.insert(String::new());
            }
        }
        self.base.restart = Some(Restart {
            turn: turn.clone(),
            begin_by: asked.begin_by,
            stage: match out.is_empty() {
                true => RestartStage::Drive,
                false => RestartStage::Drain,
            },
            out,
            millis: 0,
        });
    }

    /// The restart is over: the base is put back, whatever it carries.
    pub(super) fn restart_is_over(&mut self, over: &Over) {
        let Some(number) = over.turn else {
            return;
        };
        self.base.restarts_over = self.base.restarts_over.max(number);
        let Some(restart) = &mut self.base.restart else {
            return;
        };
        if restart.turn.number > number {
            return;
        }
        self.name = Some(over.base.clone());
        match restart.out.is_empty() {
            true => self.base.restart = None,
            false => restart.stage = RestartStage::Undrain,
        }
        self.take_next();
    }

    pub(super) fn restarted(&mut self, came: &Restarted) {
        let Some(restart) = &mut self.base.restart else {
            return;
        };
        if restart.turn != came.turn || restart.stage != came.stage {
            return;
        }
        restart.millis += came.millis;
        match (came.stage, &came.stop) {
            (RestartStage::Drain, None) => restart.stage = RestartStage::Drive,
            (RestartStage::Undrain, None) => self.base.restart = None,
            // Tried until it is done.
            (RestartStage::Undrain, Some(_)) | (RestartStage::Settle, _) => {}
            (RestartStage::Drain | RestartStage::Drive, stop) => {
                self.end_restart(stop.clone(), came.ended);
            }
        }
    }

    /// The work took its worker down again and again.
    pub(super) fn restart_given_up(&mut self, tries: u32, stop: Option<&Stop>) {
        if self.base.is_being_restarted() {
            self.end_restart(Some(without_result(tries, stop)), None);
        }
    }

    /// It was restarted, or will not be; the base stays out until it is told that this is over.
    pub(super) fn end_restart(&mut self, stop: Option<Stop>, ended: Option<Timestamp>) {
        let now = self.context.now;
        let Some(restart) = &mut self.base.restart else {
            return;
        };
        restart.stage = RestartStage::Settle;
        let finished = Finished {
            turn: restart.turn.clone(),
            stop,
            ended: ended.unwrap_or(now),
            millis: restart.millis,
        };
        let scope = Scope::default().within(&restart.turn.environment);
        self.name = Some(restart.turn.base.clone());
        self.says.push(Say {
            scope,
            body: finished.into(),
        });
        self.take_next();
    }
}
