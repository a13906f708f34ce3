//! What people ask of a rollout: to approve it, to let it go on, to pause or abort it.
//!
//! In: commands, and changes of the line. Out: the command taken or refused, and what follows from it.

use ferry_events::{
    Command, Reason, Stop, Verb,
    command::{Rollout, Settled},
    gate::{Ask, Finished, Outcome, Point},
    line::{Act, Changed},
    rollout::{Aim, Direction, Requested, RolloutOutcome},
};
use ferry_runtime::Context;

use super::{
    by_base::ByBase,
    halt::{Halts, Stops},
    queue::Queue,
    rollout::Rollouts,
    scope,
    unit::{Active, Making, Stage, ended, unit_scope},
};

pub(super) trait Acts: Sized {
    /// A person asks for something.
    fn asked(self, command: &Command, context: &Context) -> Self;
    /// A person paused, resumed or aborted.
    fn line_changed(self, changed: &Changed, context: &Context) -> Self;
}

impl Acts for Making {
    fn asked(mut self, command: &Command, context: &Context) -> Self {
        let (rollout, approves) = match &command.verb {
            Verb::Approve(rollout) => (rollout, true),
            Verb::Promote(rollout) => (rollout, false),
            _ => return self,
        };
        self.state.is_of(&rollout.module, &rollout.environment);
        if !self.state.is_new(command.id) {
            return self;
        }
        let taken = match approves {
            true => self.approve(rollout, command),
            false => self.promote(rollout, command, context),
        };
        let settled = |stop: Option<Stop>| {
            let run = stop.is_none().then_some(rollout.run);
            Settled::of(command, run, stop)
        };
        let scope = scope(&context.config, &rollout.module).within(&rollout.environment);
        match taken {
            Ok(making) => making.say(scope, settled(None)).look(context),
            Err((making, stop)) => making.say(scope, settled(Some(stop))),
        }
    }

    fn line_changed(mut self, changed: &Changed, context: &Context) -> Self {
        let unit = &mut self.state;
        let once = matches!(changed.act, Act::Abort | Act::Release);
        let takes = once && unit.line.takes(changed.number);
        if unit.module.is_empty() {
            return self;
        }
        let (module, environment) = (unit.module.clone(), unit.environment.clone());
        let standing = changed.standing.iter();
        unit.line.hear(
            changed.number,
            standing.filter(|one| one.stretch.covers(&module, &environment)),
        );
        // It counts also when something newer was heard first, unless that put the base in quarantine again.
        if let (true, Act::Release, Some(base)) = (takes, changed.act, changed.stretch.base())
            && unit.line.hold(base).is_none_or(|hold| !hold.quarantined)
        {
            unit.is_released(base, context);
        }
        match changed.act {
            Act::Abort if takes => self.abort(changed, context),
            Act::Abort | Act::Pause | Act::Resume => self.look(context),
            // A wave may wait for this base, or for nothing but it.
            Act::Hold | Act::Release | Act::Quarantine | Act::Mend => {
                self.look(context).go_on_with_wave(context)
            }
        }
        .next(context)
    }
}

trait Hands: Sized {
    fn approve(self, rollout: &Rollout, command: &Command) -> Result<Self, (Self, Stop)>;
    fn promote(
        self,
        rollout: &Rollout,
        command: &Command,
        context: &Context,
    ) -> Result<Self, (Self, Stop)>;
    fn abort(self, changed: &Changed, context: &Context) -> Self;
}

fn not_waiting(rollout: &Rollout, what: &str) -> Stop {
    let detail = format!(
        "run {} does not wait for {what} in {}",
        rollout.run.short(),
        rollout.environment
    );
    Stop::new(Reason::NotWaiting, detail)
}

impl Hands for Making {
    fn approve(mut self, rollout: &Rollout, command: &Command) -> Result<Self, (Self, Stop)> {
        let of_run = |active: &&mut Active| active.requested.run == rollout.run;
        let halted = self.state.halted().filter(of_run);
        let waits = halted
            .and_then(Active::halt_mut)
            .map(|halt| &mut halt.waits);
        let wait = waits.and_then(|waits| {
            waits
                .values_mut()
                .find(|wait| matches!(wait.ask, Ask::Approval { .. }) && !wait.passed)
        });
        let Some(wait) = wait else {
            let stop = not_waiting(rollout, "approval");
            return Err((self, stop));
        };
        let refused = match &wait.ask {
            Ask::Approval { not, .. } if not.contains(&command.actor) => Some(format!(
                "{} wrote or asked for it; somebody else must approve it",
                command.actor
            )),
            Ask::Approval { by, not, .. } if !by.is_empty() && !by.contains(&command.actor) => {
                let others = by.iter().filter(|name| !not.contains(name));
                let others: Vec<&str> = others.map(String::as_str).collect();
                Some(format!("{} may approve it", others.join(", ")))
            }
            _ => None,
        };
        if let Some(detail) = refused {
            return Err((self, Stop::new(Reason::NotAllowed, detail)));
        }
        if !wait.by.contains(&command.actor) {
            wait.by.push(command.actor.clone());
        }
        Ok(self)
    }

    fn promote(
        mut self,
        rollout: &Rollout,
        command: &Command,
        context: &Context,
    ) -> Result<Self, (Self, Stop)> {
        // A soak that a person calls enough is over.
        if let Some(active) = &self.state.active
            && active.requested.run == rollout.run
            && active.stage == Stage::Soak
        {
            if let Some(active) = &mut self.state.active {
                active.tasks = ByBase::default();
            }
            return Ok(self.arrive(Point::End, context));
        }
        let halted = self.state.halted().cloned();
        let Some(active) = halted.filter(|active| active.requested.run == rollout.run) else {
            let stop = not_waiting(rollout, "anything");
            return Err((self, stop));
        };
        let why = command.why.clone().unwrap_or_default();
        let mut said = Vec::new();
        let mut others = None;
        if let Some(halted) = self.state.halted() {
            let mut overridden = None;
            if let Some(halt) = halted.halt_mut() {
                for (name, wait) in halt.waits.iter_mut().filter(|(_, wait)| !wait.passed) {
                    match &wait.ask {
                        // Whoever paused it, or may resume it, has the word.
                        Ask::Line => {
                            others = Some(format!("it waits because {}; resume that", wait.what));
                            continue;
                        }
                        // Nor is there a way around those who must agree.
                        Ask::Approval { .. } => {
                            others = Some(format!("it waits for {}; approve it", wait.what));
                            continue;
                        }
                        Ask::Release { .. } => {
                            others = Some(format!(
                                "it waits for {}; abort it, and all go back",
                                wait.what
                            ));
                            continue;
                        }
                        Ask::Calendar => overridden = Some(why.clone()),
                        _ => {}
                    }
                    wait.passed = true;
                    let over = active.over(name, wait, halt.point, Outcome::Promoted);
                    said.push(Finished {
                        by: vec![command.actor.clone()],
                        why: command.why.clone(),
                        ..over
                    });
                }
            }
            if overridden.is_some() {
                halted.overridden = overridden;
            }
        }
        if said.is_empty() {
            let stop = match others {
                Some(what) => Stop::new(Reason::NotWaiting, what),
                None => not_waiting(rollout, "anything"),
            };
            return Err((self, stop));
        }
        let scope = unit_scope(context, &active.requested);
        Ok(said
            .into_iter()
            .fold(self, |making, over| making.say(scope.clone(), over)))
    }

    fn abort(mut self, changed: &Changed, context: &Context) -> Self {
        let concerns = |requested: &Requested| {
            changed.stretch.covers_run(requested.run) && matches!(requested.aim, Aim::Release(_))
        };
        let why = match &changed.why {
            Some(why) => format!("{} aborted {}: {why}", changed.actor, changed.stretch),
            None => format!("{} aborted {}", changed.actor, changed.stretch),
        };
        let stop = Stop::new(Reason::Aborted, why);
        let unit = &mut self.state;
        let live = unit.verified.first().cloned();
        let later = unit.later.take_if(|later| concerns(later));
        let queued = unit.queued.take_if(|queued| concerns(queued));
        if unit.queued.is_none() {
            unit.queued = unit.later.take();
        }
        for waiting in queued.into_iter().chain(later) {
            let outcome = RolloutOutcome::Stopped;
            let ended = ended(&waiting, outcome, live.as_ref(), Some(stop.clone()));
            self = self.finish(ended, context);
        }
        let unit = &self.state;
        let gated = unit.gated.as_ref();
        let forward = unit.active.as_ref().filter(|active| {
            active.plan.direction == Direction::Forward && active.failure.is_none()
        });
        match gated.or(forward) {
            Some(active) if concerns(&active.requested) => self.stop_rollout(stop, context),
            _ => self,
        }
    }
}
