//! The line: what people paused, kept in one place and told to every module that it concerns.
//!
//! In: commands to pause, resume or abort, to hold and release bases; questions of modules that are new in an environment. Out:
//! `line.changed` and `line.told`, with every pause that stands.

use ferry_events::{
    Body, Command, CommandId, Reason, Scope, Stop, Verb,
    command::{OnBase, Settled},
    line::{Act, Changed, Standing, Stretch, Told},
};
use ferry_runtime::{Context, Decision, Fault, Input};
use serde::{Deserialize, Serialize};

use super::{Nothing, quarantine::Wards, scope, unit::keep_last};

/// Commands that are remembered, so that a repeat of one says nothing again.
const COMMANDS_MAX: usize = 64;
/// Aborts and releases that are remembered: more than come while one of them is on its way.
const TAKEN_MAX: usize = 32;
/// Pauses that may stand at a time: more than anybody keeps an eye on.
const STANDING_MAX: usize = 256;

/// What stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Counts the changes.
    pub(super) number: u64,
    /// The pauses that stand, the oldest first.
    pub(super) standing: Vec<Standing>,
    /// The last commands that were taken or refused.
    commands: Vec<CommandId>,
    /// Bases that could not be brought back.
    #[serde(default)]
    pub(super) wards: Wards,
}

impl Line {
    pub(super) fn decide(
        &self,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Decision<Line>, Fault> {
        Ok(match input {
            Input::Command(command) => self.told_to(command, context),
            Input::Event(event) => match &event.body {
                Body::LineAsked(asked) => {
                    let told = Told {
                        module: asked.module.clone(),
                        environment: asked.environment.clone(),
                        number: self.number,
                        standing: self
                            .standing_for(&asked.module, &asked.environment)
                            .cloned()
                            .collect(),
                    };
                    let scope = scope(&context.config, &asked.module).within(&asked.environment);
                    Decision::to(self.clone()).say(scope, told)
                }
                Body::BaseQuarantined(it) => self.quarantined(it, context),
                Body::BaseMended(it) => self.mended(it, context),
                _ => Decision::to(self.clone()),
            },
            _ => Decision::to(self.clone()),
        })
    }

    fn standing_for<'a>(
        &'a self,
        module: &'a str,
        environment: &'a str,
    ) -> impl Iterator<Item = &'a Standing> {
        let standing = self.standing.iter();
        standing.filter(move |one| one.stretch.covers(module, environment))
    }

    /// Tells a module that asks for a preview.
    pub(super) fn tell(&self, heard: &mut Heard, module: &str, environment: &str) {
        heard.tell(self.number, self.standing_for(module, environment));
    }

    fn told_to(&self, command: &Command, context: &Context) -> Decision<Line> {
        let on_base = |it: &OnBase| Stretch::of_base(&it.base, &it.environment);
        let (act, stretch) = match &command.verb {
            Verb::Pause(stretch) => (Act::Pause, stretch.clone()),
            Verb::Resume(stretch) => (Act::Resume, stretch.clone()),
            Verb::Abort(stretch) => (Act::Abort, stretch.clone()),
            Verb::Hold(it) => (Act::Hold, on_base(it)),
            Verb::Release(it) => (Act::Release, on_base(it)),
            _ => return Decision::to(self.clone()),
        };
        let stretch = &stretch;
        if self.commands.contains(&command.id) {
            return Decision::to(self.clone());
        }
        let mut line = self.clone();
        line.commands.push(command.id);
        keep_last(&mut line.commands, COMMANDS_MAX);
        let refusal = line.take(act, stretch, command);
        let scope = scope_of(stretch, context);
        let run = match stretch {
            Stretch::Run { run, .. } => Some(*run),
            _ => None,
        };
        let run = run.filter(|_| refusal.is_none());
        let settled = Settled::of(command, run, refusal.clone());
        if refusal.is_some() {
            return Decision::to(line).say(scope, settled);
        }
        line.number += 1;
        let changed = Changed {
            act,
            stretch: stretch.clone(),
            at: command.at,
            number: line.number,
            standing: line.standing.clone(),
            actor: command.actor.clone(),
            why: command.why.clone(),
            command: Some(command.id),
        };
        Decision::to(line)
            .say(scope.clone(), settled)
            .say(scope, changed)
    }

    fn take(&mut self, act: Act, stretch: &Stretch, command: &Command) -> Option<Stop> {
        let mut known = self.standing.iter().filter(|one| one.stretch == *stretch);
        // A person may take over what is in quarantine.
        let stands = known.any(|one| act != Act::Hold || !one.quarantined);
        match act {
            Act::Abort => None,
            Act::Pause | Act::Hold if stands => Some(Stop::new(
                Reason::NotWaiting,
                format!("{stretch} is {} already", word(act)),
            )),
            Act::Pause | Act::Hold if self.standing.len() >= STANDING_MAX => Some(Stop::new(
                Reason::TooMany,
                format!("{STANDING_MAX} pauses and holds stand; lift some of them"),
            )),
            Act::Pause | Act::Hold => {
                self.standing.retain(|one| one.stretch != *stretch);
                self.standing.push(Standing {
                    stretch: stretch.clone(),
                    since: command.at,
                    actor: command.actor.clone(),
                    why: command.why.clone(),
                    quarantined: false,
                });
                None
            }
            Act::Resume | Act::Release if stands => {
                self.standing.retain(|one| one.stretch != *stretch);
                if let Some(base) = stretch.base() {
                    self.wards.release(base);
                }
                None
            }
            // No person does these.
            Act::Quarantine | Act::Mend => None,
            Act::Resume | Act::Release => Some(Stop::new(
                Reason::NotWaiting,
                format!("{stretch} is not {}", word(act)),
            )),
        }
    }
}

/// How something stands that this act begins or ends.
fn word(act: Act) -> &'static str {
    match act {
        Act::Hold | Act::Release | Act::Quarantine | Act::Mend => "held",
        Act::Pause | Act::Resume | Act::Abort => "paused",
    }
}

/// Whose events about a stretch are.
pub(super) fn scope_of(stretch: &Stretch, context: &Context) -> Scope {
    let scope = match stretch.module() {
        "" => Scope::default(),
        module => scope(&context.config, module),
    };
    match stretch.environment() {
        Some(environment) => scope.within(environment),
        None => scope,
    }
}

/// What a module in an environment knows of the line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Whether it was answered. Before, what it hears may be long past.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    told: bool,
    /// Up to which change it heard; none: of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// The pauses that stand for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    standing: Vec<Standing>,
    /// The numbers of the last aborts and releases that were taken, ascending: each is taken once, however late it
    /// comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "aborts")]
    taken: Vec<u64>,
    /// When it asked last, until it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<ferry_events::Timestamp>,
}

impl Heard {
    /// Whether it was ever told.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Takes in the answer to its question. Answers whether that is news.
    pub(super) fn tell<'a>(
        &mut self,
        number: u64,
        standing: impl Iterator<Item = &'a Standing>,
    ) -> bool {
        let first = !std::mem::replace(&mut self.told, true);
        self.asked = None;
        self.hear(number, standing) || first
    }

    /// Takes in what stands, unless something newer was heard. Answers whether it did.
    pub(super) fn hear<'a>(
        &mut self,
        number: u64,
        standing: impl Iterator<Item = &'a Standing>,
    ) -> bool {
        if self.number.is_some_and(|heard| heard >= number) {
            return false;
        }
        self.number = Some(number);
        self.standing = standing.cloned().collect();
        true
    }

    /// Whether an abort or a release is one that was not taken yet; then it is remembered.
    pub(super) fn takes(&mut self, number: u64) -> bool {
        let full = self.taken.len() >= TAKEN_MAX;
        let past = full && self.taken.first().is_some_and(|first| number < *first);
        let Err(place) = self.taken.binary_search(&number) else {
            return false;
        };
        if past {
            return false;
        }
        self.taken.insert(place, number);
        keep_last(&mut self.taken, TAKEN_MAX);
        true
    }

    /// The first pause that concerns a run.
    pub(super) fn pauses(&self, run: ferry_events::RunId) -> Option<&Standing> {
        self.standing
            .iter()
            .find(|standing| standing.stretch.covers_run(run))
    }

    /// The hold of a base, where it is held.
    pub(super) fn hold(&self, base: &str) -> Option<&Standing> {
        self.standing
            .iter()
            .find(|standing| standing.stretch.base() == Some(base))
    }
}
