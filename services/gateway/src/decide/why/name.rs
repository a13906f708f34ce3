//! The stories of a base and of a module: what happened to it, and how it stands.
//!
//! In: acts in order, and what is known of it now. Out: a [`WhyView`].

use ferry_api::{
    About, BaseState, BaseView, ModuleView, RestartState, RestartView, RunState, RunSummary,
    WhyView,
};
use ferry_events::{Body, Event};

use super::words::{line, version};
use super::{Sentences, Weight};

/// The story of a base in the making.
#[derive(Debug)]
pub struct OfBase {
    base: String,
    sentences: Sentences,
}

impl OfBase {
    /// A story of which nothing is known yet.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            sentences: Sentences::default(),
        }
    }

    /// Takes the next act.
    pub fn take(&mut self, event: &Event) {
        let ours = |base: &str| base == self.base;
        let concerns = match &event.body {
            Body::BaseJoined(it) => ours(&it.base),
            Body::BaseLost(it) => ours(&it.base),
            Body::ModuleDrifted(it) => ours(&it.base),
            Body::ModuleGivenUp(it) => ours(&it.base),
            Body::TaskFinished(it) => ours(&it.base),
            Body::ObservationFinished(it) => ours(&it.base),
            Body::BaseQuarantined(it) => ours(&it.base),
            Body::BaseMended(it) => ours(&it.base),
            Body::LineChanged(it) => it.stretch.base().is_some_and(ours),
            Body::RestartListed(it) => ours(&it.base),
            Body::RestartFinished(it) => ours(&it.turn.base),
            Body::RestartOver(it) => ours(&it.base),
            Body::RolloutFinished(it) => {
                let mut failed = it.failed.iter();
                failed.any(|stop| stop.base.as_deref() == Some(&self.base))
            }
            Body::RolloutPlanned(it) => it.plan.bases().any(ours),
            _ => false,
        };
        if concerns {
            self.sentences.take(event, Weight::Base);
        }
    }

    /// The story, as it stands.
    pub fn told(self, view: Option<&BaseView>) -> WhyView {
        let mut next = Vec::new();
        let base = &self.base;
        let now = match view {
            None => format!("{base} is not in the configuration any more"),
            Some(view) => {
                let state = match view.state {
                    BaseState::Joined => "answers".to_owned(),
                    BaseState::Unknown => "was not seen yet".to_owned(),
                    BaseState::Lost => {
                        next.push(format!(
                            "start {base} again; it is brought back once it answers"
                        ));
                        let why = view.why.as_deref().map(line);
                        format!("does not answer: {}", why.unwrap_or_default())
                    }
                };
                let wrong: Vec<String> = view
                    .wanted
                    .iter()
                    .filter(|it| !it.agrees)
                    .map(|it| {
                        let wanted = it.wanted.as_deref().unwrap_or("none");
                        let actual: Vec<String> = it.actual.iter().map(version).collect();
                        let actual = match actual.as_slice() {
                            [] => "none".to_owned(),
                            actual => actual.join(", "),
                        };
                        if let Some(repair) = &it.repair {
                            next.push(match (&repair.stop, repair.next, repair.is_given_up()) {
                                (Some(stop), _, true) => stop.next.clone(),
                                (_, Some(at), _) => format!(
                                    "nothing: Ferry tries again at {}",
                                    at.format("%Y-%m-%d %H:%M:%S UTC")
                                ),
                                _ => "nothing: Ferry brings it back by itself".to_owned(),
                            });
                        }
                        format!("it runs {actual} of {}, not {}", it.module, line(wanted))
                    })
                    .collect();
                let wrong = match wrong.as_slice() {
                    [] => "it runs what it should".to_owned(),
                    wrong => wrong.join("; "),
                };
                let held = view.held.as_ref().map(|held| {
                    next.push(match held.quarantined {
                        true => {
                            format!("ferry base release {base} --why TEXT    # ends the quarantine")
                        }
                        false => format!(
                            "ferry base release {base} --why TEXT    # gives it back to Ferry"
                        ),
                    });
                    format!("; {}", line(&held.to_string()))
                });
                let restart = view.restart.as_ref().map(|restart| {
                    if !restart.driven || restart.state == RestartState::Failed {
                        next.push(match restart.driven {
                            true => format!("ferry base restart {base} --why TEXT"),
                            false => format!("restart {base}; Ferry brings its modules back"),
                        });
                    }
                    format!("; {}", restarting(restart))
                });
                let (held, restart) = (held.unwrap_or_default(), restart.unwrap_or_default());
                format!(
                    "{base} in {} {state}; {wrong}{held}{restart}",
                    view.environment
                )
            }
        };
        let (story, left_out) = self.sentences.told();
        WhyView {
            about: About::Base,
            name: self.base,
            module: None,
            now,
            cause: None,
            troubles: Vec::new(),
            next,
            story,
            left_out,
            behind: false,
        }
    }
}

/// How far a restart is, in a clause.
fn restarting(restart: &RestartView) -> String {
    let why = restart.why.as_deref().map(line);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    match restart.state {
        RestartState::Listed => format!("it is on the list of restarts{why}"),
        RestartState::Asked => format!("its modules are asked whether they can spare it{why}"),
        RestartState::Restarting => format!("it is being restarted{why}"),
        RestartState::Settling => {
            "it was restarted, and its modules are being brought back".to_owned()
        }
        RestartState::Failed => {
            let stop = restart.stop.as_ref();
            let why = stop.map(|stop| line(&stop.detail)).unwrap_or_default();
            format!("its last restart failed: {why}")
        }
    }
}

/// The story of a module in the making.
#[derive(Debug)]
pub struct OfModule {
    module: String,
    sentences: Sentences,
}

impl OfModule {
    /// A story of which nothing is known yet.
    pub fn new(module: &str) -> Self {
        Self {
            module: module.to_owned(),
            sentences: Sentences::default(),
        }
    }

    /// Takes the next act.
    pub fn take(&mut self, event: &Event) {
        let concerns = match &event.body {
            Body::LineChanged(it) => {
                it.stretch.module() == self.module || it.stretch.module().is_empty()
            }
            _ => event.scope.module.as_ref() == Some(&self.module),
        };
        if concerns {
            self.sentences.take(event, Weight::Module);
        }
    }

    /// The story, as it stands. `last` is its newest run.
    pub fn told(self, view: Option<&ModuleView>, last: Option<&RunSummary>) -> WhyView {
        let live: Vec<String> = view
            .into_iter()
            .flat_map(|view| &view.environments)
            .map(|there| {
                let version = there
                    .version
                    .as_deref()
                    .map_or_else(|| "nothing".to_owned(), line);
                let changing = there
                    .changing
                    .map(|run| format!(", being changed by run {}", run.short()));
                format!(
                    "{version} in {}{}",
                    there.environment,
                    changing.unwrap_or_default()
                )
            })
            .collect();
        let now = match live.as_slice() {
            [] => format!("{} has no bases in any environment", self.module),
            live => format!("of {} is live: {}", self.module, live.join("; ")),
        };
        let mut next = vec![format!(
            "ferry history {}    # what was live where and when",
            self.module
        )];
        if let Some(run) = last
            && matches!(run.state, RunState::Failed | RunState::Broken)
        {
            next.insert(
                0,
                format!(
                    "ferry why {}    # its newest run, which failed",
                    run.id.short()
                ),
            );
        }
        let (story, left_out) = self.sentences.told();
        WhyView {
            about: About::Module,
            name: self.module,
            module: None,
            now,
            cause: None,
            troubles: Vec::new(),
            next,
            story,
            left_out,
            behind: false,
        }
    }
}
