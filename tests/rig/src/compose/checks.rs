//! The walls between containers, tried from inside and read from outside.
//!
//! In: the project, up. Out: a line for each wall that holds; an error at the first
//! that does not.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::project::{Project, RUNNING, service_of};

/// Where a container finds what it may know.
const SECRETS: &str = "/run/ferry/secrets";

/// A file of every container, which [`FIND`] finds too: it shows that it looked.
const LANDMARK: &str = "/etc/hostname";

/// The arguments of find for all that a container may know, and every key wherever
/// it is.
const FIND: &str = "/ ( -path /proc -o -path /sys ) -prune -o -type f \
     ( -path /run/ferry/* -o -name *.nk -o -path /etc/hostname ) -print";

/// The user of every process.
const FERRY_UID: &str = "10001";

/// Tries all of them.
pub async fn all(project: &Project) -> Result<Vec<String>> {
    let states = project.inspect().await?;
    Ok(vec![
        secrets(project, &states).await?,
        keys_differ(project).await?,
        builder(project).await?,
        networks(project).await?,
        ports(&states)?,
    ])
}

/// What a container may know, and the volumes that it comes from.
fn own(service: &str) -> (BTreeSet<String>, BTreeSet<&'static str>) {
    let (files, volumes): (&[&str], &[&str]) = match service {
        "gateway" => (&["gateway.nk", "hello-webhook"], &["gateway-secrets"]),
        "builder" => (&["builder.nk"], &["builder-secrets"]),
        "slimmer" => (&["slimmer.nk"], &["slimmer-secrets"]),
        "scheduler" => (&["scheduler.nk"], &["scheduler-secrets"]),
        "installer" => (&["installer.nk"], &["installer-secrets"]),
        "verifier" => (&["verifier.nk"], &["verifier-secrets"]),
        "ferry" => (&["token"], &["admin"]),
        _ => (&[], &[]),
    };
    let files = files
        .iter()
        .map(|file| format!("{SECRETS}/{file}"))
        .collect();
    (files, volumes.iter().copied().collect())
}

async fn secrets(project: &Project, states: &[Value]) -> Result<String> {
    let find: Vec<&str> = FIND.split_whitespace().collect();
    let command = [&["find"], find.as_slice()].concat();
    for service in RUNNING {
        // Folders of root's that it may not enter make it fail; what it found counts.
        let found = project.exec(service, &command).await?;
        only_own(service, &found.out)?;
        let state = states.iter().find(|it| service_of(it) == service);
        only_own_volumes(service, state.context("a container is gone")?)?;
    }
    only_own(
        "ferry",
        &project.once_with("find", "ferry", &find).await?.out,
    )?;
    Ok(format!(
        "{} containers and the command hold their own secrets only",
        RUNNING.len()
    ))
}

fn only_own(service: &str, found: &str) -> Result<()> {
    let mut found: BTreeSet<String> = found.lines().map(|line| line.trim().to_owned()).collect();
    ensure!(
        found.remove(LANDMARK),
        "{service}: the search for secrets did not look"
    );
    let (files, _) = own(service);
    ensure!(
        found == files,
        "{service} should hold {files:?}, and holds {found:?}"
    );
    Ok(())
}

fn only_own_volumes(service: &str, state: &Value) -> Result<()> {
    let names = state["Mounts"].as_array().into_iter().flatten();
    let names = names.filter_map(|mount| mount["Name"].as_str());
    let secret: BTreeSet<&str> = names
        .map(|name| name.split_once('_').map_or(name, |(_, name)| name))
        .filter(|name| name.ends_with("-secrets") || ["keys", "admin"].contains(name))
        .collect();
    let (_, volumes) = own(service);
    ensure!(
        secret == volumes,
        "{service} should mount {volumes:?}, and mounts {secret:?}"
    );
    Ok(())
}

async fn keys_differ(project: &Project) -> Result<String> {
    let mut seeds = BTreeSet::new();
    let services = RUNNING
        .iter()
        .filter(|service| !["nats", "base"].contains(service));
    for service in services.clone() {
        let own = format!("{SECRETS}/{service}.nk");
        let read = project.exec(service, &["cat", &own]).await?;
        ensure!(
            read.status.success(),
            "{service} cannot read its own key: {}",
            read.said()
        );
        // Never shown: a secret, even of a test.
        ensure!(
            seeds.insert(read.out),
            "{service} has another service's key"
        );
        let others = format!("{SECRETS}/operator.nk");
        let refused = project.exec(service, &["cat", &others]).await?;
        ensure!(
            !refused.status.success(),
            "{service} can read the operator's key"
        );
    }
    Ok(format!(
        "{} services have a key each; none reads the operator's",
        services.count()
    ))
}

/// The builder gave up all that its container was given for it, and builds in a sandbox.
async fn builder(project: &Project) -> Result<String> {
    let script = "for it in /proc/[0-9]*; do \
         if [ \"$(cat $it/comm)\" = ferry-builder ]; then cat $it/status; fi; done";
    let status = project.exec("builder", &["sh", "-c", script]).await?.out;
    let value = |key: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(|line| {
            line.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    for key in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = value(key).context("the builder's process is not there")?;
        ensure!(
            value.chars().all(|c| c == '0'),
            "the builder has {key} {value}"
        );
    }
    for (key, wanted) in [("Uid", FERRY_UID), ("NoNewPrivs", "1"), ("Seccomp", "2")] {
        ensure!(
            value(key).as_deref() == Some(wanted),
            "the builder's {key} is {:?}",
            value(key)
        );
    }
    let log = project.log("builder").await?;
    ensure!(
        log.contains("builds run in bubblewrap"),
        "the builder has no sandbox:\n{log}"
    );
    Ok("the builder has no privilege left, and builds in bubblewrap".to_owned())
}

/// Arklet obeys whoever reaches it.
async fn networks(project: &Project) -> Result<String> {
    let arklet = ["bash", "-c", "exec 3<>/dev/tcp/base/1238"];
    for service in ["installer", "verifier"] {
        let reached = project.exec(service, &arklet).await?;
        ensure!(
            reached.status.success(),
            "{service} cannot reach arklet: {}",
            reached.said()
        );
    }
    for service in ["nats", "gateway", "builder", "slimmer", "scheduler"] {
        let reached = project.exec(service, &arklet).await?;
        ensure!(!reached.status.success(), "{service} reaches arklet");
    }
    let bus = project
        .exec("base", &["bash", "-c", "exec 3<>/dev/tcp/nats/4222"])
        .await?;
    ensure!(!bus.status.success(), "the base reaches the bus");
    Ok("arklet is reached by the installer and the verifier only".to_owned())
}

fn ports(states: &[Value]) -> Result<String> {
    let mut published = Vec::new();
    for state in states {
        let ports = state["NetworkSettings"]["Ports"].as_object();
        for (port, at) in ports.into_iter().flatten() {
            for at in at.as_array().into_iter().flatten() {
                let host = at["HostIp"].as_str();
                let service = service_of(state);
                ensure!(
                    host == Some("127.0.0.1"),
                    "{service} publishes {port} on {host:?}"
                );
                published.push(format!("{service} {port}"));
            }
        }
    }
    published.sort();
    ensure!(
        published == ["base 8080/tcp", "gateway 8900/tcp"],
        "published: {published:?}"
    );
    Ok("only the gateway and the base's modules are published, on loopback".to_owned())
}
