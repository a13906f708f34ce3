//! What the installer's tests share: tasks, plans, a configuration.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod balancer;
pub mod line;
pub mod on_fake;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use ferry_bus::{Bus, MemoryBus, Write};
use ferry_config::{Base, Config, Drain, Pool};
use ferry_events::{
    Body, Digest, Event, EventId, PlanId, RunId, Scope, Service, TaskId, Timestamp,
    fact::ActivePlan,
    subject,
    task::{Requested, Want},
};
use ferry_fake_base::FakeBase;
use ferry_installer::effects::Arklet;
use uuid::Uuid;

/// The base of tests with one.
pub const BASE: &str = "pre-1";
pub const ENVIRONMENT: &str = "pre";
pub const MODULE: &str = "hello";
pub const BIZ: &str = "hello-biz";

pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn plan(name: &str) -> PlanId {
    Digest::of(name.as_bytes())
}

/// A jar that no base ever sees: its bytes do not matter.
pub fn want(version: &str) -> Want {
    Want {
        digest: Digest::of(version.as_bytes()),
        size: 1,
        version: version.into(),
        web_context_path: None,
    }
}

pub fn task(base: &str, plan: &PlanId, want: Option<Want>, restore: Option<Want>) -> Requested {
    Requested {
        task: TaskId::of(plan, base),
        plan: plan.clone(),
        run: RunId(Uuid::nil()),
        module: MODULE.into(),
        environment: ENVIRONMENT.into(),
        base: base.into(),
        biz: BIZ.into(),
        origin: None,
        want,
        restore,
    }
}

pub fn event(number: u64, body: impl Into<Body>) -> Event {
    let body = body.into();
    let kind = body.kind().short_name();
    Event {
        id: EventId::of("test", "test", number, &kind, 0),
        source: Service::Scheduler,
        time: start(),
        scope: Scope::module(None, MODULE).within(ENVIRONMENT),
        cause: None,
        trace: None,
        body,
    }
}

/// A configuration with these bases: name, arklet's address, the modules' address.
pub fn config(bases: &[(&str, &str, &str)]) -> Config {
    let bases = bases
        .iter()
        .map(|(name, arklet, url)| Base {
            name: (*name).into(),
            arklet: arklet.parse().unwrap(),
            url: url.parse().unwrap(),
            zone: "default".into(),
        })
        .collect();
    let pool = Pool {
        environment: ENVIRONMENT.into(),
        base: None,
        base_jar: None,
        bases_file: None,
        drain: None,
        metaspace_growth: 0,
        metaspace_mark: None,
        restart: None,
        bases,
    };
    let mut config = Config {
        pools: BTreeMap::from([("one".to_owned(), pool)]),
        ..Config::default()
    };
    config.installer.listen = "127.0.0.1:0".parse().unwrap();
    config
}

/// Stores a jar on the bus, by way of a file in this folder.
pub async fn store(bus: &MemoryBus, folder: &Path, bytes: &[u8], version: &str) -> Want {
    let digest = Digest::of(bytes);
    let file = folder.join("jar");
    std::fs::write(&file, bytes).unwrap();
    bus.put_jar(&digest, &file).await.unwrap();
    Want {
        digest,
        size: bytes.len() as u64,
        version: version.into(),
        web_context_path: None,
    }
}

/// What the scheduler says of the plan that counts; none: no plan does.
pub fn in_force(plan: Option<&PlanId>) -> Write {
    let fact = ActivePlan {
        plan: plan.cloned(),
        run: None,
    };
    Write::fact(
        subject::plan_fact(MODULE, ENVIRONMENT),
        serde_json::to_vec(&fact).unwrap(),
    )
}

/// A base's arklet, asked past the installer.
pub fn arklet(base: &FakeBase) -> Arklet {
    Arklet::new(
        Arc::new(ferry_web::Http::new().unwrap()),
        base.arklet_url.parse().unwrap(),
        line::WAIT,
    )
}

/// A load balancer at an address that is asked for what stands in the path.
pub fn drain(balancer: &str) -> Drain {
    let call = |way: &str, holds: &str| {
        serde_json::json!({
            "url": format!("{balancer}/{{base}}/{way}"),
            "check": { "url": format!("{balancer}/{{base}}"), "contains": holds },
        })
    };
    serde_json::from_value(serde_json::json!({
        "deadline": "2s",
        "timeout": "300ms",
        "interval": "10ms",
        "drain": call("drain", "connections: 0"),
        "undrain": call("undrain", "state: up"),
    }))
    .unwrap()
}
