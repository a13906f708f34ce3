//! Ferry as in production: replicas of every service, each a process with a data folder of its own,
//! on one nats-server or on a cluster of three.
//!
//! In: a [`Setup`] and how many of each. Out: processes that can be killed, frozen and started again
//! by name. Everything is killed when it is dropped.

mod member;
mod servers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferry_api::Client;
use ferry_bus::{Bus, ConnectOptions, JetStream, StreamLimits, User, Users, provision};
use ferry_events::Service;

pub use member::Member;
pub use servers::Servers;

use crate::process::Process;
use crate::stack::Setup;
use crate::tools;

/// A start takes a second or two; the rest is for a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A cluster elects its leaders within seconds of its start.
const PROVISION_LIMIT: Duration = Duration::from_secs(60);

/// How many of each.
#[derive(Clone, Debug)]
pub struct Size {
    /// nats-servers: 1, or 3 that keep three copies of each stream.
    pub servers: usize,
    /// Replicas of each service.
    pub replicas: usize,
}

/// A running fleet.
pub struct Fleet {
    members: BTreeMap<String, Member>,
    servers: Servers,
    users: Users,
    dir: PathBuf,
    token: String,
    secret: String,
}

impl Fleet {
    /// Starts everything and waits until every service is ready.
    ///
    /// `tools` is a folder with `bin/mvn` and `bin/javac` for the builders, instead of the system's.
    ///
    /// # Errors
    /// When a program is missing or something does not come up, with the end of its log.
    pub async fn start(setup: &Setup, size: &Size, tools: Option<&Path>) -> Result<Self> {
        let written = setup.write()?;
        let dir = setup.dir.clone();
        let users = Users::load_or_create(&dir.join("keys"))?;
        let servers = Servers::start(&dir, size.servers, &users).await?;
        let mut fleet = Self {
            members: BTreeMap::new(),
            servers,
            users,
            dir,
            token: written.token,
            secret: written.secret,
        };
        fleet.provision(size.servers).await?;
        fleet.apply(&written.config).await?;
        for service in Service::ALL {
            for number in 1..=size.replicas {
                let member = fleet.member(service, number, tools)?;
                fleet.members.insert(member.name().to_owned(), member);
            }
        }
        for member in fleet.members.values_mut() {
            member.start()?;
        }
        fleet.ready(START_LIMIT).await?;
        Ok(fleet)
    }

    fn member(&self, service: Service, number: usize, tools: Option<&Path>) -> Result<Member> {
        let name = format!("{service}-{number}");
        let address = ferry_ports::address()?.to_string();
        let mut arguments: Vec<String> = vec!["--bus".into(), self.servers.urls()];
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let seed = User::Service(service).seed_file();
        for (option, value) in [
            ("--credentials", self.dir.join("keys").join(seed)),
            ("--secrets", self.dir.clone()),
            ("--data", self.dir.join("replicas").join(&name)),
        ] {
            arguments.extend([option.into(), path(value)]);
        }
        let listens = if service == Service::Gateway {
            "--listen"
        } else {
            "--health"
        };
        arguments.extend([listens.into(), address.clone()]);
        let log = self.logs().join(format!("{name}.log"));
        let tools = tools.filter(|_| service == Service::Builder);
        Member::new(
            service,
            name,
            arguments,
            &format!("http://{address}"),
            log,
            tools,
        )
    }

    /// Makes the streams; a cluster that is still electing its leaders is asked again.
    async fn provision(&self, replicas: usize) -> Result<()> {
        let operator = self.connect(User::Operator).await?;
        let limits = StreamLimits {
            replicas,
            ..StreamLimits::default()
        };
        let mut last = String::new();
        let deadline = tokio::time::Instant::now() + PROVISION_LIMIT;
        while tokio::time::Instant::now() < deadline {
            match provision(&operator, &limits).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        bail!("the streams cannot be made: {last}")
    }

    /// Puts the configuration in force as an operator does.
    async fn apply(&self, config: &Path) -> Result<()> {
        self.operate(&["config", "apply", &config.to_string_lossy()])
            .await
    }

    /// What an operator does on the bus: `ferry` with these arguments.
    ///
    /// # Errors
    /// When it does not end well, with its last words.
    pub async fn operate(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(tools::program("ferry")?);
        command
            .current_dir(&self.dir)
            .args(arguments)
            .args(["--bus", &self.servers.urls(), "--credentials"])
            .arg(self.dir.join("keys").join(User::Operator.seed_file()));
        let log = self.logs().join("operator.log");
        let what = format!("ferry {}", arguments.join(" "));
        let mut operator = Process::spawn(&what, command, &log)?;
        let ended = operator.finish(START_LIMIT).await?;
        if ended.success() {
            return Ok(());
        }
        bail!("{what} ended ({ended}); {}", operator.tail())
    }

    /// Connects to the bus as one of its users.
    ///
    /// # Errors
    /// When its key is refused.
    pub async fn connect(&self, user: User) -> Result<JetStream> {
        let options = ConnectOptions {
            url: self.servers.urls(),
            user,
            seed: Some(self.users.seed(user).to_owned()),
            name: format!("rig as {user}"),
        };
        Ok(JetStream::connect(options).await?)
    }

    /// The bus as the gateway sees it: it may watch every event.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn bus(&self) -> Result<impl Bus + use<>> {
        self.connect(User::Service(Service::Gateway)).await
    }

    /// Waits until every service that runs says that it is ready.
    ///
    /// # Errors
    /// At the limit, with which is not, and why.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        for member in self.members.values_mut() {
            member.ready(limit).await?;
        }
        Ok(())
    }

    /// The services' processes, by name: `scheduler-1`.
    pub fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// One service's process.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn member_mut(&mut self, name: &str) -> Result<&mut Member> {
        self.members
            .get_mut(name)
            .with_context(|| format!("there is no {name}"))
    }

    /// The nats-servers.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The nats-servers, to kill and freeze them.
    pub fn servers_mut(&mut self) -> &mut Servers {
        &mut self.servers
    }

    /// Every process by name, services and nats-servers.
    pub fn names(&self) -> Vec<String> {
        let services = self.members.keys().cloned();
        services.chain(self.servers.names()).collect()
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        match self.servers.named(name) {
            Some(server) => server.kill().await,
            None => self.member_mut(name)?.kill().await,
        }
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&mut self, name: &str) -> Result<()> {
        match self.servers.named(name) {
            Some(server) => server.freeze(),
            None => self.member_mut(name)?.freeze(),
        }
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&mut self, name: &str) -> Result<()> {
        match self.servers.named(name) {
            Some(server) => server.thaw(),
            None => self.member_mut(name)?.thaw(),
        }
    }

    /// Starts one that was killed, as a supervisor would.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_again(&mut self, name: &str) -> Result<()> {
        match self.servers.named(name) {
            Some(server) => server.restart().await,
            None => self.member_mut(name)?.start(),
        }
    }

    /// How a process ended that nobody ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self, name: &str) -> Result<Option<ExitStatus>> {
        match self.servers.named(name) {
            Some(server) => server.process().ended(),
            None => self.member_mut(name)?.ended(),
        }
    }

    /// The gateways' addresses.
    pub fn gateways(&self) -> Vec<String> {
        let gateways = self.members.values();
        gateways
            .filter(|member| member.service() == Service::Gateway)
            .map(|member| member.url().to_owned())
            .collect()
    }

    /// The API of one gateway, counted from 0, with a token that may do everything.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn client(&self, gateway: usize) -> Result<Client> {
        let urls = self.gateways();
        let url = urls
            .get(gateway)
            .context("so many gateways there are not")?;
        Ok(Client::new(url, Some(&self.token))?)
    }

    /// The secret that webhooks are signed with.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What must never show up in a message: the webhooks' secret, the API's token, the users' keys.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let seeds =
            User::all().map(|user| (format!("{user}'s key"), self.users.seed(user).to_owned()));
        [
            ("the webhook's secret".to_owned(), self.secret.clone()),
            ("the API's token".to_owned(), self.token.clone()),
        ]
        .into_iter()
        .chain(seeds)
        .collect()
    }

    /// The folder with everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder with the services' logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }
}
