//! A release of several modules under way: all of them verified in an environment, or none.
//!
//! In: what its runs report. Out: what each may do. It alone decides, once an environment, whether all are
//! well or one failed; whoever is well waits for that word and for nothing else. Reports may come twice,
//! late and in any order: each only adds to what is known.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, Reason, Stop,
    joint::{Joint, Member, Progress, Reported, Told, Word},
};
use ferry_runtime::{Context, Decision, Fault, Input};
use serde::{Deserialize, Serialize};

use super::{Nothing, care::shortened, scope};

/// A release of several modules under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// What it is; none before the first report.
    joint: Option<Joint>,
    /// By environment: the modules that have come there.
    came: BTreeMap<String, BTreeSet<String>>,
    /// By environment: the modules that are well there.
    well: BTreeMap<String, BTreeSet<String>>,
    /// Whether one of them has begun anywhere.
    #[serde(default)]
    begun: bool,
    /// Why it failed.
    failed: Option<Stop>,
}

impl Together {
    pub(super) fn decide(
        &self,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Decision<Together>, Fault> {
        Ok(match input {
            Input::Event(event) => match &event.body {
                Body::JointReported(reported) => self.reported(reported, context),
                _ => Decision::to(self.clone()),
            },
            Input::Outcome(nothing) | Input::Report(nothing) => match *nothing {},
            Input::Command(_) | Input::Due | Input::GivenUp { .. } => Decision::to(self.clone()),
        })
    }

    /// Whether nothing more will be decided.
    pub(super) fn is_over(&self) -> bool {
        let Some(joint) = &self.joint else {
            return false;
        };
        let mut environments = joint.environments.iter();
        self.failed.is_some() || environments.all(|name| self.is_past(joint, name))
    }

    fn reported(&self, reported: &Reported, context: &Context) -> Decision<Together> {
        let joint = self.joint.as_ref().unwrap_or(&reported.joint);
        let Some(member) = joint.member(reported.run) else {
            return Decision::to(self.clone());
        };
        let next = Self {
            joint: Some(joint.clone()),
            ..self.clone()
        };
        let next = next.with(joint, member, reported);
        let mut decision = Decision::to(next.clone());
        for member in &joint.members {
            for environment in &member.environments {
                let word = next.word(joint, member, environment);
                let asked = member.run == reported.run
                    && reported.environment.as_ref() == Some(environment);
                let news = word != self.word(joint, member, environment);
                if !asked && !news {
                    continue;
                }
                let told = Told {
                    joint: joint.id,
                    name: joint.name.clone(),
                    run: member.run,
                    module: member.module.clone(),
                    environment: environment.clone(),
                    word,
                };
                let scope = scope(&context.config, &member.module).within(environment);
                decision = decision.say(scope, told);
            }
        }
        decision
    }

    /// What is known with one report more.
    fn with(mut self, joint: &Joint, member: &Member, reported: &Reported) -> Self {
        let environment = reported.environment.clone().unwrap_or_default();
        let module = || member.module.clone();
        match &reported.progress {
            Progress::Waits => {
                self.came.entry(environment).or_default().insert(module());
            }
            Progress::Begun => self.begun = true,
            // What failed stays failed, whoever is well after all.
            Progress::Well if self.failed.is_some() => {}
            Progress::Well => {
                self.well.entry(environment).or_default().insert(module());
            }
            // It was decided there before that all are well.
            Progress::Failed(_) if self.is_complete(joint, &environment) => {}
            Progress::Failed(stop) => {
                let place = match &reported.environment {
                    Some(name) => format!(" in {name}"),
                    None => String::new(),
                };
                let detail = format!(
                    "release {}: {} failed{place}: {}",
                    joint.name,
                    member.module,
                    shortened(stop)
                );
                self.failed
                    .get_or_insert_with(|| Stop::new(Reason::ReleaseFailed, detail));
            }
        }
        self
    }

    /// Whether all that go to an environment are well there.
    fn is_complete(&self, joint: &Joint, environment: &str) -> bool {
        let well = self.well.get(environment);
        let mut modules = joint.modules_in(environment).peekable();
        modules.peek().is_some()
            && modules.all(|module| well.is_some_and(|well| well.contains(module)))
    }

    /// Whether nothing is left to wait for in an environment.
    fn is_past(&self, joint: &Joint, environment: &str) -> bool {
        joint.modules_in(environment).next().is_none() || self.is_complete(joint, environment)
    }

    fn word(&self, joint: &Joint, member: &Member, environment: &str) -> Word {
        if self.joint.is_none() {
            return Word::default();
        }
        let all_well = self.is_complete(joint, environment);
        Word {
            begins: self.begins(joint, member, environment),
            under_way: self.begun,
            all_well,
            failed: self.failed.clone().filter(|_| !all_well),
        }
    }

    /// Whether a member may begin: all are well in the environments before, all have come here (so that
    /// nothing is touched for one that does not even build), and those that it comes after are well here.
    fn begins(&self, joint: &Joint, member: &Member, environment: &str) -> bool {
        let before = joint.environments.iter();
        let mut before = before.take_while(|name| *name != environment);
        let well = self.well.get(environment);
        let is_well = |module: &str| well.is_some_and(|well| well.contains(module));
        let there: BTreeSet<&str> = joint.modules_in(environment).collect();
        let mut after = member.after.iter().map(String::as_str);
        let came = self.came.get(environment);
        let has_come = |module: &&str| came.is_some_and(|came| came.contains(*module));
        before.all(|name| self.is_past(joint, name))
            && there.iter().all(has_come)
            && after.all(|module| !there.contains(module) || is_well(module))
    }
}
