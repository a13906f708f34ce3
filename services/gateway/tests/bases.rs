//! What bases should run beside what they run, as the API tells it: from the scheduler's facts, so that
//! it outlives a gateway and the events.

mod common;

use common::story::{NEW, OLD};
use common::*;
use ferry_api::{BaseView, WantedView};
use ferry_bus::{Batch, Bus as _, MemoryBus, Write};
use ferry_events::{
    Reason, RunId, Scope, Service, Stop,
    base::{ModuleOnBase, Seen},
    body::BaseJoined,
    fact::{Owed, Wanted},
    subject,
};

fn joined(base: &str, version: Option<&str>) -> BaseJoined {
    let module = |version: &str| ModuleOnBase {
        name: "hello".into(),
        version: version.into(),
        state: "activated".into(),
    };
    let environment = base.trim_end_matches("-1");
    BaseJoined(Seen {
        base: base.into(),
        pool: environment.into(),
        environment: environment.into(),
        zone: "default".into(),
        modules: version.map(module).into_iter().collect(),
        metaspace_used: None,
        metaspace_committed: None,
        metaspace_max: None,
        at: "2025-06-01T09:31:00Z".parse().unwrap(),
        revisions: Default::default(),
        sighting: 1,
    })
}

fn wanted(environment: &str, owed: Option<Owed>) -> Wanted {
    Wanted {
        module: "hello".into(),
        environment: environment.into(),
        biz: "hello".into(),
        versions: [
            ("pre".to_owned(), NEW.to_owned()),
            ("prod".to_owned(), NEW.to_owned()),
        ]
        .into(),
        rollout: None,
        owed: owed
            .map(|owed| (format!("{environment}-1"), owed))
            .into_iter()
            .collect(),
    }
}

fn owed(stop: Option<Stop>) -> Owed {
    Owed {
        since: "2025-06-01T09:32:00Z".parse().unwrap(),
        repair: None,
        repairs: 5,
        next: stop
            .is_none()
            .then(|| "2025-06-01T09:33:00Z".parse().unwrap()),
        lost: false,
        stop,
    }
}

async fn keep(bus: &MemoryBus, wanted: &Wanted) {
    let subject = subject::wanted_fact(&wanted.module, &wanted.environment);
    let write = Write::fact(subject, serde_json::to_vec(wanted).unwrap());
    bus.commit(Batch::from(vec![write])).await.unwrap();
}

/// The only entry of each base, once the views agree with what the test wants to see.
async fn shown(gateway: &Gateway, fits: impl Fn(&[WantedView]) -> bool) -> Vec<WantedView> {
    until("the bases", || async {
        let bases: Vec<BaseView> = gateway.client(ADMIN).bases().await.ok()?;
        let all: Vec<WantedView> = bases.into_iter().flat_map(|base| base.wanted).collect();
        fits(&all).then_some(all)
    })
    .await
}

#[tokio::test]
async fn what_a_base_should_run_stands_beside_what_it_runs() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let say_joined = async |second, base: &str, version| {
        let scope = Scope::default();
        let event = event(Service::Verifier, scope, second, joined(base, version));
        say(&bus, &event).await;
    };
    say_joined(1, "pre-1", Some(NEW)).await;
    say_joined(2, "prod-1", Some(OLD)).await;
    keep(&bus, &wanted("pre", None)).await;
    keep(&bus, &wanted("prod", Some(owed(None)))).await;

    let both = shown(&gateway, |all| all.len() == 2).await;
    let [pre, prod] = both.as_slice() else {
        panic!()
    };
    assert_eq!((pre.wanted.as_deref(), pre.agrees), (Some(NEW), true));
    assert_eq!(pre.repair, None);
    assert_eq!((prod.wanted.as_deref(), prod.agrees), (Some(NEW), false));
    assert_eq!(prod.actual[0].version, OLD);
    let repair = prod.repair.as_ref().unwrap();
    assert!(!repair.is_given_up() && repair.next.is_some());

    let stop = Stop::new(Reason::RepairGivenUp, "it lost the module each time");
    keep(&bus, &wanted("prod", Some(owed(Some(stop))))).await;
    let given_up = |all: &[WantedView]| {
        let given_up = |it: &WantedView| it.repair.as_ref().is_some_and(|it| it.is_given_up());
        all.iter().any(given_up)
    };
    let told = shown(&gateway, given_up).await;

    // Another gateway, with another disk, knows the same.
    let second = Gateway::start_in(gateway_of(&bus), folder()).await;
    second.ready().await;
    assert_eq!(shown(&second, given_up).await, told);

    // Somebody of another team sees the base, and not what is wanted of a module that is not theirs.
    let seen = second.client(OTHER).bases().await.unwrap();
    assert!(seen.iter().all(|base| base.wanted.is_empty()));
}

#[tokio::test]
async fn during_a_rollout_either_version_may_run() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let run = RunId::of("hello", "main", 9, "hello");
    let fact = Wanted {
        rollout: Some(run),
        ..wanted("pre", Some(owed(None)))
    };
    let event = event(
        Service::Verifier,
        Scope::default(),
        1,
        joined("pre-1", Some(NEW)),
    );
    say(&bus, &event).await;
    keep(&bus, &fact).await;
    let held = shown(&gateway, |all| all.len() == 1).await;
    assert_eq!((held[0].rollout, held[0].agrees), (Some(run), true));
    assert_eq!(held[0].repair, None, "it runs what it should");
}
