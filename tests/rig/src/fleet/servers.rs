//! The nats-servers of a fleet: one, or a cluster of three.
//!
//! In: users. Out: servers with monitoring, and what JetStream says of its streams there.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use ferry_bus::{Users, authorization};
use ferry_ports::port;
use futures::future::try_join_all;
use serde_json::Value;

use crate::nats::NatsServer;

/// How long one question to a server's monitoring may take; a frozen one never answers.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// One nats-server, or a cluster.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<NatsServer>,
    monitoring: Vec<String>,
    http: reqwest::Client,
}

impl Servers {
    pub(super) async fn start(dir: &Path, count: usize, users: &Users) -> Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push((port()?, port()?, port()?));
        }
        let routes: Vec<String> = ports
            .iter()
            .map(|(_, cluster, _)| format!("\"nats://127.0.0.1:{cluster}\""))
            .collect();
        let routes = routes.join(", ");
        let starts = ports.iter().zip(1..).map(|((port, cluster, http), number)| {
            let name = format!("nats-server-{number}");
            let mut extra = format!("http: \"127.0.0.1:{http}\"\n{}", authorization(users));
            if count > 1 {
                extra += &format!(
                    "cluster {{\n  name: ferry\n  listen: \"127.0.0.1:{cluster}\"\n  routes: [{routes}]\n}}\n"
                );
            }
            async move { NatsServer::start_as(&name, &dir.join(&name), *port, &extra).await }
        });
        Ok(Self {
            servers: try_join_all(starts).await?,
            monitoring: ports
                .iter()
                .map(|(_, _, http)| format!("http://127.0.0.1:{http}"))
                .collect(),
            http: reqwest::Client::builder().timeout(ASK_LIMIT).build()?,
        })
    }

    /// All addresses, divided by commas, as services take them.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// Their names: `nats-server-1`.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.servers.iter().map(|server| server.name().to_owned())
    }

    /// One of them.
    pub fn named(&mut self, name: &str) -> Option<&mut NatsServer> {
        self.servers.iter_mut().find(|server| server.name() == name)
    }

    /// Their folders, with all that they store.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.servers.iter().map(NatsServer::dir)
    }

    /// What JetStream knows of a stream, as the first server tells it that answers and has it: its
    /// `state` and its `cluster` (<https://docs.nats.io/running-a-nats-service/nats_admin/monitoring>).
    pub async fn stream(&self, stream: &str) -> Option<Value> {
        for url in &self.monitoring {
            let url = format!("{url}/jsz?streams=true");
            let Ok(answer) = self.http.get(url).send().await else {
                continue;
            };
            let Ok(all) = answer.json::<Value>().await else {
                continue;
            };
            let accounts = all["account_details"].as_array().into_iter().flatten();
            let mut streams = accounts
                .flat_map(|it| it["stream_detail"].as_array())
                .flatten();
            if let Some(found) = streams.find(|it| it["name"] == stream) {
                return Some(found.clone());
            }
        }
        None
    }

    /// The name of the server that leads a stream now, where there is one.
    pub async fn leader(&self, stream: &str) -> Option<String> {
        let found = self.stream(stream).await?;
        found["cluster"]["leader"].as_str().map(str::to_owned)
    }
}
