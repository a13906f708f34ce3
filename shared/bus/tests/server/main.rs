//! What only a real nats-server can show: death, silence, wrong keys, damage on disk.
//!
//! In: nothing; nats-server is fetched by the rig. Out: what the bus does about it.

use anyhow::Result;
use async_nats::Client;
use ferry_bus::{Bus, User};
use ferry_events::Service;

use crate::real::{Nats, soon};

mod admin;
mod audit;
mod jars;
mod outages;
mod privilege;
#[path = "../suite/real.rs"]
mod real;

const SCHEDULER: User = User::Service(Service::Scheduler);
const BUILDER: User = User::Service(Service::Builder);

/// A connection without Ferry's bus, to do what it never does.
async fn raw(nats: &Nats, user: User) -> Result<Client> {
    let options = async_nats::ConnectOptions::with_nkey(nats.users.seed(user).to_owned());
    Ok(options
        .custom_inbox_prefix(user.inbox_prefix())
        .connect(nats.server.url())
        .await?)
}

async fn wait_connected(bus: &dyn Bus, connected: bool) -> Result<()> {
    let mut states = bus.connected();
    soon(
        "the connection",
        states.wait_for(|state| *state == connected),
    )
    .await??;
    Ok(())
}
