//! A real bus of the test's own, what it is given, and waits with a deadline.
//!
//! In: limits. Out: a provisioned nats-server that knows all users, and connections to it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ferry_bus::{
    BusError, ConnectOptions, Consumer, Delivery, JetStream, Keep, StreamLimits, User, Users,
    Write, authorization, provision,
};
use ferry_events::{Kind, Service, subject};
use ferry_rig::nats::NatsServer;

/// No single wait of a test takes longer; a machine that is busy with builds may be slow.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A real server that knows all users.
pub struct Nats {
    pub server: NatsServer,
    pub users: Users,
    #[allow(dead_code, reason = "each suite uses what it needs")]
    pub limits: StreamLimits,
}

impl Nats {
    pub async fn start(limits: &StreamLimits) -> Result<Self> {
        let users = Users::generate();
        let server = NatsServer::start_with(&authorization(&users)).await?;
        let nats = Self {
            server,
            users,
            limits: limits.clone(),
        };
        provision(&nats.connect(User::Operator).await?, limits).await?;
        Ok(nats)
    }

    pub async fn connect(&self, user: User) -> Result<JetStream> {
        let seed = Some(self.users.seed(user).to_owned());
        let bus = JetStream::connect(ConnectOptions {
            url: self.server.url(),
            user,
            seed,
            name: "suite".into(),
        })
        .await?;
        bus.ready(DEADLINE).await?;
        Ok(bus)
    }
}

#[allow(dead_code, reason = "each suite uses what it needs")]
impl Nats {
    /// The operator's JetStream, to do what Ferry's bus never does.
    pub async fn context(&self) -> Result<async_nats::jetstream::Context> {
        let user = User::Operator;
        let client = async_nats::ConnectOptions::with_nkey(self.users.seed(user).to_owned())
            .custom_inbox_prefix(user.inbox_prefix())
            .connect(self.server.url())
            .await?;
        Ok(async_nats::jetstream::new(client))
    }

    /// The folder of its streams.
    pub fn store(&self) -> PathBuf {
        self.server.dir().join("jetstream")
    }
}

/// Copies a folder with all that is in it.
#[allow(dead_code, reason = "each suite uses what it needs")]
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A state of the scheduler.
pub fn state(key: &str, payload: &str, expected: u64) -> Write {
    let subject = subject::state(Service::Scheduler, key);
    Write::state(
        subject,
        Bytes::copy_from_slice(payload.as_bytes()),
        expected,
        Keep::Forever,
    )
}

/// An event of a kind, with a body that only the suite reads.
pub fn event(kind: Kind, id: &str) -> Write {
    Write {
        subject: format!(
            "ferry.events.team.module._.{}.{}",
            kind.subject(),
            kind.predicate()
        ),
        payload: Bytes::copy_from_slice(id.as_bytes()),
        expected: None,
        replaces: false,
        keep: Keep::Stream,
        id: Some(id.to_owned()),
    }
}

/// The machine's clock, which is the server's too.
#[allow(
    clippy::disallowed_methods,
    reason = "a test of the real server asks the real clock"
)]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Waits for a future, but not for ever.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(DEADLINE, work)
        .await
        .with_context(|| format!("{what}: not within {DEADLINE:?}"))
}

/// Looks until there is something, every few milliseconds.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    soon(what, async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await?
}

/// The next deliveries, over whatever the bus is silent for.
pub async fn next(consumer: &mut Box<dyn Consumer>, max: usize) -> Result<Vec<Delivery>> {
    soon("a delivery", async {
        loop {
            match consumer.next(max).await {
                Ok(deliveries) => return Ok(deliveries),
                Err(BusError::Unavailable(_)) => {}
                Err(error) => bail!(error),
            }
        }
    })
    .await?
}

/// Takes until there are `count`, and acks them.
pub async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        for delivery in next(consumer, count).await? {
            delivery.ack.ack().await?;
            taken.push(String::from_utf8(delivery.payload.to_vec())?);
        }
    }
    Ok(taken)
}
