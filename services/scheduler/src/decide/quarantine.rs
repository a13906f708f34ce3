//! Quarantine: a base that a rollout could not bring back gets no rollouts until it is as it should be again.
//!
//! In: of a unit, its care of each base; of the line, what units say of bases. Out: `base.quarantined`,
//! `base.mended`, and what stands on the line, so that every module hears of it.

use ferry_events::{
    Reason, Stop,
    base::{Mended, Quarantined},
    line::{Act, Changed, Standing, Stretch},
};
use ferry_runtime::{Context, Decision};
use serde::{Deserialize, Serialize};

use super::{
    care::shortened,
    line::{Line, scope_of},
    scope,
    unit::{Making, Unit, keep_last},
};

/// Ended quarantines that are remembered: more than end while word of one of them is on its way.
const PAST_MAX: usize = 256;
/// Bases that the line knows in quarantine, with room for the cause of each. Of more than these only the
/// modules know that could not be brought back there.
const OPEN_MAX: usize = 100;
/// Of a cause this much is kept on the line, in characters.
const CAUSE_MAX: usize = 100;
/// Who put it there.
const FERRY: &str = "ferry";

/// A module could not be brought back on a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ward {
    base: String,
    module: String,
    generation: u64,
}

impl Ward {
    fn new(base: &str, module: &str, generation: u64) -> Self {
        Self {
            base: base.to_owned(),
            module: module.to_owned(),
            generation,
        }
    }

    fn is_of(&self, base: &str, module: &str) -> bool {
        self.base == base && self.module == module
    }
}

/// What the line knows of bases in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wards {
    /// Those that are in it, each for every module that could not be brought back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<Ward>,
    /// The last that are over, so that late word of one of them is not taken for news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<Ward>,
}

impl Wards {
    /// Whether this is news: it is not in it already, and not past.
    fn admit(&mut self, ward: Ward) -> bool {
        let mut known = self.open.iter().chain(&self.past);
        let stale =
            |one: &Ward| one.is_of(&ward.base, &ward.module) && one.generation >= ward.generation;
        if known.any(stale) || self.open.len() >= OPEN_MAX {
            return false;
        }
        self.open.retain(|one| !one.is_of(&ward.base, &ward.module));
        self.open.push(ward);
        true
    }

    fn end(&mut self, ward: Ward) {
        self.open
            .retain(|one| !one.is_of(&ward.base, &ward.module) || one.generation > ward.generation);
        let mut past = self.past.iter();
        let known = past.position(|one| one.is_of(&ward.base, &ward.module));
        if let Some(place) = known {
            if self.past[place].generation >= ward.generation {
                return;
            }
            self.past.remove(place);
        }
        self.past.push(ward);
        keep_last(&mut self.past, PAST_MAX);
    }

    /// A person releases a base: whatever it was in quarantine for is over.
    pub(super) fn release(&mut self, base: &str) {
        let (over, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|ward: &Ward| ward.base == base);
        self.open = open;
        Vec::into_iter(over).for_each(|ward| self.end(ward));
    }

    fn holds(&self, base: &str) -> bool {
        self.open.iter().any(|ward| ward.base == base)
    }
}

impl Line {
    /// A base could not be brought back.
    pub(super) fn quarantined(&self, it: &Quarantined, context: &Context) -> Decision<Line> {
        let mut line = self.clone();
        let news = line
            .wards
            .admit(Ward::new(&it.base, &it.module, it.generation));
        let stretch = Stretch::of_base(&it.base, &it.environment);
        // Whoever holds it has the word.
        if !news || line.standing.iter().any(|one| one.stretch == stretch) {
            return Decision::to(line);
        }
        let cause: String = it.stop.detail.chars().take(CAUSE_MAX).collect();
        let why = format!(
            "{} could not be brought back: {}: {cause}",
            it.module, it.stop.reason
        );
        line.standing.push(Standing {
            stretch: stretch.clone(),
            since: context.now,
            actor: FERRY.to_owned(),
            why: Some(why.clone()),
            quarantined: true,
        });
        line.change(Act::Quarantine, stretch, why, context)
    }

    /// A base is as it should be again.
    pub(super) fn mended(&self, it: &Mended, context: &Context) -> Decision<Line> {
        let mut line = self.clone();
        line.wards
            .end(Ward::new(&it.base, &it.module, it.generation));
        let stretch = Stretch::of_base(&it.base, &it.environment);
        let is_it = |one: &Standing| one.quarantined && one.stretch == stretch;
        if line.wards.holds(&it.base) || !line.standing.iter().any(is_it) {
            return Decision::to(line);
        }
        line.standing.retain(|one| !is_it(one));
        let why = format!("{} is as it should be again", it.module);
        line.change(Act::Mend, stretch, why, context)
    }

    fn change(
        mut self,
        act: Act,
        stretch: Stretch,
        why: String,
        context: &Context,
    ) -> Decision<Line> {
        self.number += 1;
        let changed = Changed {
            act,
            at: context.now,
            number: self.number,
            standing: self.standing.clone(),
            actor: FERRY.to_owned(),
            why: Some(why),
            command: None,
            stretch,
        };
        let scope = scope_of(&changed.stretch, context);
        Decision::to(self).say(scope, changed)
    }
}

pub(super) trait Quarantines: Sized {
    /// These bases could not be brought back.
    fn quarantine(self, broken: &[Stop], context: &Context) -> Self;
    /// Says which of them are as they should be again.
    fn mend(self, context: &Context) -> Self;
}

impl Quarantines for Making {
    fn quarantine(mut self, broken: &[Stop], context: &Context) -> Self {
        let unit = &mut self.state;
        let Some(run) = unit.active.as_ref().map(|active| active.requested.run) else {
            return self;
        };
        let mut said = Vec::new();
        for stop in broken.iter().filter(|stop| stop.reason != Reason::BaseHeld) {
            let Some(base) = &stop.base else {
                continue;
            };
            let care = unit.care.entry(base);
            care.quarantined = Some(unit.generation);
            said.push(Quarantined {
                base: base.clone(),
                environment: unit.environment.clone(),
                module: unit.module.clone(),
                run,
                generation: unit.generation,
                stop: shortened(stop),
            });
        }
        let scope = scope(&context.config, &unit.module).within(&unit.environment);
        said.into_iter()
            .fold(self, |making, it| making.say(scope.clone(), it))
    }

    fn mend(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let mended = unit.mended();
        // Nearly always: this is asked after every input.
        if mended.is_empty() {
            return self;
        }
        for it in &mended {
            if let Some(care) = unit.care.get_mut(&it.base) {
                care.quarantined = None;
            }
        }
        let scope = scope(&context.config, &unit.module).within(&unit.environment);
        mended
            .into_iter()
            .fold(self, |making, it| making.say(scope.clone(), it))
    }
}

impl Unit {
    /// Bases in quarantine that are owed nothing and are not being changed.
    fn mended(&self) -> Vec<Mended> {
        let in_hand = |base: &String| {
            let active = self.active.as_ref();
            active.is_some_and(|active| active.tasks.contains_key(base))
        };
        let care = self.care.iter();
        care.filter_map(|(base, care)| {
            let generation = care.quarantined?;
            (care.owed.is_none() && !in_hand(base)).then(|| Mended {
                base: base.clone(),
                environment: self.environment.clone(),
                module: self.module.clone(),
                generation,
            })
        })
        .collect()
    }
}
