//! Bases and the modules that are live on them.

use ferry_api::{
    BaseState, BaseView, LiveView, Metaspace, ModuleOnBase, ModuleView, RepairView, RestartState,
    RestartView, StopView, WantedView,
};
use ferry_events::{Digest, Reason, Stop, base};

use super::{BEFORE, COMMIT, VERSION, at, bad_run, good_run};

pub(super) fn carried(version: &str, state: &str) -> ModuleOnBase {
    ModuleOnBase {
        name: "hello".into(),
        version: version.into(),
        state: state.into(),
    }
}

/// Three bases: one well, one lost, one not seen yet.
pub fn bases() -> Vec<BaseView> {
    let base = |name: &str, state| BaseView {
        name: name.into(),
        pool: "prod".into(),
        environment: "prod".into(),
        zone: "default".into(),
        url: "http://127.0.0.1:8080/".into(),
        state,
        held: None,
        restart: None,
        modules: vec![
            carried(VERSION, "activated"),
            carried(BEFORE, "deactivated"),
        ],
        wanted: Vec::new(),
        metaspace: Some(Metaspace {
            used: 96 << 20,
            max: Some(256 << 20),
        }),
        last_seen: Some(at(179_000)),
        why: None,
    };
    let mut lost = base("prod-2", BaseState::Lost);
    lost.why = Some("connection refused".into());
    lost.last_seen = Some(at(60_000));
    let mut new = base("prod-3", BaseState::Unknown);
    new.modules.clear();
    new.metaspace = None;
    new.last_seen = None;
    vec![base("prod-1", BaseState::Joined), lost, new]
}

/// Bases that run something else than was decided, each for a reason of its own.
pub fn differing_bases() -> Vec<BaseView> {
    let wanted = |actual: Vec<ModuleOnBase>| WantedView {
        module: "hello".into(),
        wanted: Some(VERSION.into()),
        agrees: actual.len() == 1 && actual[0].version == VERSION,
        actual,
        rollout: None,
        repair: None,
    };
    let repair = |next: Option<i64>| RepairView {
        since: at(100_000),
        run: None,
        repairs: 2,
        next: next.map(at),
        stop: None,
    };
    let stop = |reason, detail: &str| StopView::from(&Stop::new(reason, detail));
    let mut right = wanted(vec![carried(VERSION, "activated")]);
    right.repair = None;
    let mut rolling = wanted(vec![carried(BEFORE, "activated")]);
    rolling.rollout = Some(bad_run());
    let mut held = wanted(Vec::new());
    held.rollout = Some(bad_run());
    held.repair = Some(repair(Some(100_000)));
    let mut repairing = wanted(Vec::new());
    repairing.repair = Some(RepairView {
        run: Some(good_run()),
        ..repair(Some(100_000))
    });
    let mut waiting = wanted(vec![carried(BEFORE, "activated")]);
    waiting.repair = Some(RepairView {
        stop: Some(stop(Reason::InstallFailed, "the price list is empty")),
        ..repair(Some(210_000))
    });
    let mut given_up = wanted(Vec::new());
    given_up.repair = Some(RepairView {
        stop: Some(stop(
            Reason::RepairGivenUp,
            "brought back 5 times within 1h; it lost the module each time",
        )),
        ..repair(None)
    });
    let mut bases: Vec<BaseView> = [right, rolling, held, repairing, waiting, given_up]
        .into_iter()
        .enumerate()
        .map(|(number, wanted)| BaseView {
            name: format!("prod-{}", number + 1),
            modules: wanted.actual.clone(),
            wanted: vec![wanted],
            ..self::bases()[0].clone()
        })
        .collect();
    // Somebody put it there by hand, beside what Ferry decided.
    bases[0].modules.push(ModuleOnBase {
        name: "tools".into(),
        version: "7".into(),
        state: "activated".into(),
    });
    let mut away = bases[2].clone();
    away.name = "prod-7".into();
    away.state = BaseState::Lost;
    away.wanted[0].rollout = None;
    bases.push(away);
    let mut kept = bases[4].clone();
    kept.name = "prod-8".into();
    kept.held = super::holds().pop();
    bases.push(kept);
    bases
}

/// Bases that are to be restarted, each at another point of it.
pub fn restarting_bases() -> Vec<BaseView> {
    let full = "96% of its metaspace is taken, and its mark is 90%";
    let view = |state, why: Option<&str>| RestartView {
        state,
        since: at(100_000),
        why: why.map(str::to_owned),
        driven: true,
        stop: None,
    };
    let failed = |detail: &str| StopView::from(&Stop::new(Reason::RestartFailed, detail));
    let by_hand = RestartView {
        driven: false,
        ..view(RestartState::Listed, Some(full))
    };
    let again = RestartView {
        stop: Some(failed("hello could not spare it in time")),
        ..view(RestartState::Listed, Some(full))
    };
    let over = RestartView {
        stop: Some(failed("systemctl ended with exit status: 1: no such unit")),
        ..view(RestartState::Failed, None)
    };
    let asked = "ada asks for it: its file handles are used up";
    [
        by_hand,
        again,
        view(RestartState::Asked, Some(asked)),
        view(RestartState::Restarting, Some(asked)),
        view(RestartState::Settling, None),
        over,
    ]
    .into_iter()
    .enumerate()
    .map(|(number, restart)| BaseView {
        name: format!("prod-{}", number + 1),
        restart: Some(restart),
        ..self::bases()[0].clone()
    })
    .collect()
}

/// Two modules: one in two environments and drifted, one that never was live.
pub fn modules() -> Vec<ModuleView> {
    let live = |environment: &str, version: Option<&str>| LiveView {
        environment: environment.into(),
        version: version.map(Into::into),
        commit: version.map(|_| COMMIT.into()),
        packaged: version.map(|_| Digest::of(b"packaged")),
        verified: version.is_some(),
        run: version.map(|_| good_run()),
        since: version.map(|_| at(9_000)),
        changing: None,
        drifted: Vec::new(),
    };
    let mut pre = live("pre", Some(VERSION));
    pre.changing = Some(bad_run());
    let mut prod = live("prod", Some(BEFORE));
    prod.drifted = vec![base::Drifted {
        base: "prod-1".into(),
        environment: "prod".into(),
        module: "hello".into(),
        wanted: Some(BEFORE.into()),
        actual: vec![VERSION.into()],
        revision: 3,
        sighting: 4,
    }];
    let module = |name: &str, environments| ModuleView {
        name: name.into(),
        repository: name.into(),
        team: Some("core".into()),
        environments,
    };
    vec![
        module("hello", vec![pre, prod]),
        module("shop", vec![live("prod", None)]),
    ]
}
