//! The bus of `ferry up`: its address, its users, its streams.
//!
//! In: arguments, the configuration, the keys. Out: the operator's connection.

use std::time::Duration;

use anyhow::Result;
use ferry_bus::{JetStream, StreamLimits, User, Users};
use ferry_config::Config;

use super::Args;
use super::said::Said;
use crate::data::Data;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::operator;

/// A bus that starts at the same moment is there within this.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Where the bus is.
pub fn url(args: &Args, config: &Config) -> String {
    args.bus.clone().unwrap_or_else(|| config.bus.url.clone())
}

/// The users' keys: made for a bus of our own; for another one those that
/// `ferry bus users` put there, or none.
pub fn users(args: &Args, data: &Data) -> Result<Option<Users>> {
    let keys = data.keys();
    if args.own_bus() || keys.join(User::Operator.seed_file()).is_file() {
        return Ok(Some(Users::load_or_create(&keys)?));
    }
    Ok(None)
}

/// Connects as the operator.
pub async fn connect(url: &str, users: Option<&Users>) -> Result<JetStream> {
    let seed = users.map(|users| users.seed(User::Operator).to_owned());
    let bus = operator::connect(url, seed).await?;
    bus.ready(READY_WITHIN).await.map_err(|error| {
        Stopped::new(
            Exit::Unreachable,
            format!("the bus at {url} does not answer: {error}"),
        )
        .next("start it, or leave out --bus and --no-nats to have one started here")
    })?;
    Ok(bus)
}

/// Makes streams and consumers, or brings them up to date.
pub async fn provision(bus: &JetStream, said: &Said) -> Result<()> {
    let made = ferry_bus::provision(bus, &StreamLimits::default()).await?;
    let created = made.iter().filter(|one| one.created).count();
    if created > 0 {
        said.line(&format!(
            "the bus is prepared: {created} streams and consumers were made"
        ));
    }
    Ok(())
}
