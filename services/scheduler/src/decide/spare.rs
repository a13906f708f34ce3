//! Sparing a base: a module lets a base be restarted when that takes nothing from it that it may not lack.
//!
//! In: a unit, what is asked of it, what became of the restart. Out: `restart.given`, once no wave and no soak
//! has the environment's bases in hand and the base's zone can do without it; from then on the base counts as out
//! of service, and nothing is begun on it, until the restart is over.

use ferry_events::{
    Reason, Stop, Timestamp,
    restart::{Asked, Given, Turn},
};
use ferry_runtime::{Context, Key};
use serde::{Deserialize, Serialize};

use super::{
    care::Care,
    plan,
    repair::Repairs,
    rollout::Rollouts,
    scope,
    unit::{Making, Stage, Unit},
};

/// A base whose restart was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Away {
    /// The turn.
    turn: Turn,
    /// Whether it was given: the base may be down from then on.
    given: bool,
    /// When it counts on the base again, whatever it hears.
    back_by: Timestamp,
}

pub(super) trait Spares: Sized {
    /// It is asked whether it can spare a base.
    fn asked_to_spare(self, key: &Key, asked: &Asked) -> Self;
    /// A turn is over: the base can be counted on again.
    fn counts_on(self, turn: u64, context: &Context) -> Self;
    /// Forgets turns that nothing was heard of any more.
    fn past_turns(self, context: &Context) -> Self;
    /// Gives the turns that were asked for and can be given now.
    fn spare(self, context: &Context) -> Self;
}

impl Spares for Making {
    fn asked_to_spare(mut self, key: &Key, asked: &Asked) -> Self {
        let unit = &mut self.state;
        let turn = &asked.turn;
        if turn.number <= unit.turns_over || unit.away.contains_key(&turn.base) {
            return self;
        }
        if let Some(module) = key.as_str().split('.').nth(1) {
            unit.is_of(module, &turn.environment);
        }
        let away = Away {
            turn: turn.clone(),
            given: false,
            back_by: asked.back_by,
        };
        unit.away.insert(turn.base.clone(), away);
        self
    }

    fn counts_on(mut self, turn: u64, context: &Context) -> Self {
        let unit = &mut self.state;
        unit.turns_over = unit.turns_over.max(turn);
        let before = unit.away.len();
        unit.away.retain(|_, away| away.turn.number > turn);
        if unit.away.len() == before {
            return self;
        }
        self.go_on_with_wave(context).reconcile(context)
    }

    fn past_turns(self, context: &Context) -> Self {
        let away = self.state.away.values();
        let past = away
            .filter(|away| away.back_by <= context.now)
            .map(|away| away.turn.number)
            .max();
        match past {
            Some(turn) => self.counts_on(turn, context),
            None => self,
        }
    }

    fn spare(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let asked = unit.away.values().filter(|away| !away.given);
        let asked: Vec<Turn> = asked.map(|away| away.turn.clone()).collect();
        let mut said = Vec::new();
        for turn in asked {
            let held = unit
                .line
                .hold(&turn.base)
                .filter(|_| unit.is_held(&turn.base));
            let stop = held.map(|hold| Stop::new(Reason::BaseHeld, hold.to_string()));
            if stop.is_none() && !unit.can_spare(&turn.base, context) {
                continue;
            }
            match (&stop, unit.away.get_mut(&turn.base)) {
                (None, Some(away)) => away.given = true,
                _ => {
                    unit.away.remove(&turn.base);
                }
            }
            said.push(Given {
                module: unit.module.clone(),
                biz: unit.carried_in(&turn.pool),
                turn,
                stop,
            });
        }
        let scope = scope(&context.config, &unit.module).within(&unit.environment);
        said.into_iter()
            .fold(self, |making, given| making.say(scope.clone(), given))
    }
}

impl Unit {
    /// Whether a base is being restarted: nothing is begun on it.
    pub(super) fn is_away(&self, base: &str) -> bool {
        self.away.get(base).is_some_and(|away| away.given)
    }

    /// When the last base that is being restarted must be back.
    pub(super) fn away_until(&self) -> Option<Timestamp> {
        let given = self.away.values().filter(|away| away.given);
        given.map(|away| away.back_by).max()
    }

    /// When the first turn that was asked for is past, whatever is heard.
    pub(super) fn turns_past(&self) -> Option<Timestamp> {
        self.away.values().map(|away| away.back_by).min()
    }

    /// Whether a base serves nobody now.
    pub(super) fn is_out(&self, base: &str) -> bool {
        let care = self.care.get(base);
        care.is_some_and(Care::is_out_of_service) || self.is_left_alone(base) || self.is_away(base)
    }

    /// The name under which bases of a pool should carry the module.
    fn carried_in(&self, pool: &str) -> Option<String> {
        let release = self.verified.first()?;
        plan::want(release, pool).map(|_| release.biz.name.clone())
    }

    fn can_spare(&self, base: &str, context: &Context) -> bool {
        // Bases of a wave are out of service, and one that soaks must stay there.
        let busy = self.active.as_ref();
        if busy.is_some_and(|active| !matches!(active.stage, Stage::Halt(_))) {
            return false;
        }
        let bases = context.config.bases_of(&self.module, &self.environment);
        let Some((_, own)) = bases.iter().find(|(_, one)| one.name == base) else {
            return true;
        };
        let has_failed = |base: &str| busy.is_some_and(|active| active.has_failed(base));
        // What serves nobody takes nothing away. That the line has it in quarantine still tells nothing.
        let care = self.care.get(base);
        if care.is_some_and(Care::is_out_of_service) || has_failed(base) {
            return true;
        }
        let of_zone = bases.iter().filter(|(_, one)| one.zone == own.zone);
        let names: Vec<&str> = of_zone.map(|(_, one)| one.name.as_str()).collect();
        let others = names.iter().filter(|name| **name != base);
        let out = others
            .filter(|name| self.is_out(name) || has_failed(name))
            .count()
            + 1;
        let zone = plan::zone(&context.config, &self.environment, names.len());
        let out = u32::try_from(out).unwrap_or(u32::MAX);
        out <= zone.max_unavailable && zone.bases.saturating_sub(out) >= zone.min_available
    }
}
