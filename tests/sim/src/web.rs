//! The network between processes and bases. In: exchanges. Out: what the base in memory answers, in time
//! or not; bases fetch jars from the installers' own routes.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use axum::{body::Body, extract};
use ferry_events::Service;
use ferry_fake_base::Port;
use ferry_web::{Answer, Ask, Request, Unanswered, Web};
use tower::ServiceExt as _;

use crate::{
    process::{Fate, Life},
    world::World,
};

/// The way outside of one process, or of the bases.
pub struct SimWeb {
    world: Weak<World>,
    /// Whose it is; none: the bases'.
    life: Option<Arc<Life>>,
}

impl SimWeb {
    /// The way of a process.
    pub fn of(life: &Arc<Life>) -> Arc<Self> {
        Arc::new(Self {
            world: life.world.clone(),
            life: Some(life.clone()),
        })
    }

    /// The way of the bases.
    pub fn of_bases(world: Weak<World>) -> Arc<Self> {
        Arc::new(Self { world, life: None })
    }

    /// The life, where calls of it are boundaries: the installer changes bases, others only look.
    fn bounded(&self) -> Option<&Arc<Life>> {
        self.life
            .as_ref()
            .filter(|life| life.service == Service::Installer)
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, Unanswered> {
        let refused = || Unanswered::Broken("Connection refused".into());
        let world = self.world.upgrade().ok_or_else(refused)?;
        let host = ask.url.host_str().unwrap_or_default().to_owned();
        let (name, port) = host.split_once('.').ok_or_else(refused)?;
        if port == "artifacts" {
            let (life, routes) = world.artifacts_of(name).ok_or_else(refused)?;
            drop(world);
            if life.is_dead() {
                return Err(refused());
            }
            let dies = life.clone();
            let target = ask.url[url::Position::BeforePath..].to_owned();
            let request = extract::Request::get(target).body(Body::empty());
            let request = request.map_err(|error| Unanswered::Broken(error.to_string()))?;
            let served = async {
                life.open().await;
                let response = routes.oneshot(request).await;
                life.open().await;
                match response {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            };
            let response = tokio::select! {
                biased;
                // The connection goes with the process.
                () = dies.dead() => return Err(Unanswered::Broken("Connection reset".into())),
                response = served => response,
            };
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), ask.body_max).await;
            return Ok(Answer {
                status,
                location: None,
                body: body.unwrap_or_default().into(),
                whole: true,
            });
        }
        if port == "outside" {
            let to = self.life.as_ref().map_or("", |life| &life.name);
            let (latency, now_ms) = (world.network(), world.now_ms());
            let (answer, broken) = world.outside().answer(world.script.seed, &ask, to, now_ms);
            if let Some(broken) = broken {
                world.broken(broken);
            }
            drop(world);
            tokio::time::sleep(latency).await;
            return match answer {
                Some(answer) => Ok(answer),
                // Whoever asks gives up.
                None => std::future::pending().await,
            };
        }
        let port = if port == "arklet" {
            Port::Arklet
        } else {
            Port::Modules
        };
        let base = world.base(name).ok_or_else(refused)?;
        if let (Port::Arklet, Some(body)) = (&port, &ask.json) {
            world.balancer().reaches(name, ask.url.path(), body);
        }
        let latency = world.network();
        drop(world);
        tokio::time::sleep(latency).await;
        base.exchange(port, ask).await
    }
}

#[async_trait]
impl Web for SimWeb {
    async fn ask(&self, ask: Ask) -> Result<Answer, Unanswered> {
        let limit = ask.timeout;
        if let Some(life) = &self.life {
            life.open().await;
        }
        let what = ask.url.path().to_owned();
        if let Some(life) = self.bounded()
            && let Some(world) = self.world.upgrade()
        {
            world.asks(life, ask.url.host_str().unwrap_or_default(), &what);
        }
        if let Some(life) = self.bounded()
            && life.pass(&format!("ask {what}")).await == Fate::Fail
        {
            return Err(Unanswered::Broken("the request is lost".into()));
        }
        // As much of the limit as is left passes at the base: a process that stood still sees it passed.
        let answer = tokio::time::timeout(limit, self.exchange(ask))
            .await
            .unwrap_or(Err(Unanswered::TimedOut(limit)));
        if let Some(life) = self.bounded()
            && life.pass(&format!("has asked {what}")).await == Fate::Fail
        {
            return Err(Unanswered::Broken("the reply is lost".into()));
        }
        if let Some(life) = &self.life {
            life.open().await;
        }
        answer
    }

    async fn send(&self, request: Request) -> Result<Answer, Unanswered> {
        let refused = || Unanswered::Broken("Connection refused".into());
        if request.url.host_str() != Some("lb.balancer") {
            return Err(refused());
        }
        let Some(life) = &self.life else {
            return Err(refused());
        };
        life.open().await;
        let what = request.url.path().to_owned();
        let began = self.world.upgrade().ok_or_else(refused)?.now_ms();
        if life.pass(&format!("ask the balancer {what}")).await == Fate::Fail {
            return Err(Unanswered::Broken("the request is lost".into()));
        }
        tokio::time::sleep(NETWORK).await;
        let answer = {
            let world = self.world.upgrade().ok_or_else(refused)?;
            let late = world.now_ms() - began;
            if request.method == "POST" {
                world.tell(&life.name, format!("asks the balancer for {what}"));
            }
            world.balancer().answer(&request, late)
        };
        if life.pass(&format!("has asked the balancer {what}")).await == Fate::Fail {
            return Err(Unanswered::Broken("the reply is lost".into()));
        }
        Ok(answer)
    }
}

/// How long one exchange with a base is on its way.
pub const NETWORK: Duration = Duration::from_millis(1);
