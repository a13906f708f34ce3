//! The gateway that a command talks to: address, token, client.
//!
//! In: arguments, environment, `.ferry/token`. Out: a [`Client`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_api::{Client, ClientError, RunView};
use tokio::time::{Instant, sleep};
use url::{Host, Url};

use crate::data::{DATA_DIR, TOKEN_FILE};
use crate::exit::Exit;
use crate::failure::Stopped;

/// Where `ferry up` listens unless the configuration says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8900";

/// How long a run that was just begun may be unknown to the gateway: it reads
/// events within milliseconds, and a second when the bus is busy.
const RUN_KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks at the gateway.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Digits of a run's id that must be given: fewer fit too many runs.
const ID_MIN: usize = 4;

/// Which gateway, and who asks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub struct GatewayArgs {
    /// The gateway's address
    #[arg(long, value_name = "URL", env = "FERRY_URL", default_value = DEFAULT_URL)]
    pub gateway: String,
    /// A file with the API token; else FERRY_TOKEN, else for a gateway on this
    /// machine .ferry/token
    #[arg(long, value_name = "FILE", env = "FERRY_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

impl GatewayArgs {
    /// The client.
    pub fn client(&self) -> Result<Client> {
        let token = self.token()?;
        Ok(Client::new(&self.gateway, token.as_deref())?)
    }

    fn token(&self) -> Result<Option<String>> {
        if let Some(file) = &self.token_file {
            return read(file).map(Some);
        }
        // Not a clap argument: its value must not stand in any help text.
        if let Some(token) = std::env::var("FERRY_TOKEN")
            .ok()
            .filter(|token| !token.is_empty())
        {
            return Ok(Some(token));
        }
        let own = Path::new(DATA_DIR).join(TOKEN_FILE);
        // This machine's admin token is sent to no other.
        if is_here(&self.gateway) && own.is_file() {
            return read(&own).map(Some);
        }
        Ok(None)
    }
}

fn read(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the token in {} cannot be read", file.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        let what = format!("{} holds no token", file.display());
        return Err(Stopped::new(Exit::Usage, what)
            .next("put one token into it, as `ferry token new` prints it")
            .into());
    }
    Ok(token.to_owned())
}

/// Whether an address is one of this machine's loopback addresses.
pub fn is_here(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A run's id, or its first digits.
pub fn run_id(text: &str) -> Result<String, String> {
    let digits = text.chars().filter(|c| c.is_ascii_hexdigit()).count();
    if text.chars().any(|c| !c.is_ascii_hexdigit() && c != '-') {
        return Err("a run's id has hexadecimal digits and dashes; `ferry runs` lists them".into());
    }
    if digits < ID_MIN {
        return Err(format!("at least {ID_MIN} digits of a run's id are needed"));
    }
    Ok(text.to_ascii_lowercase())
}

/// The run, once the gateway knows it: one that was just begun may not have come
/// there yet.
pub async fn run_soon(client: &Client, id: &str) -> Result<RunView> {
    let deadline = Instant::now() + RUN_KNOWN_WITHIN;
    loop {
        match client.run(id).await {
            Ok(run) => return Ok(run),
            Err(error) if is_not_found(&error) && Instant::now() < deadline => {
                sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_not_found(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.status == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_token_goes_to_this_machine_only() {
        for here in [
            "http://127.0.0.1:8900",
            "http://localhost:1",
            "http://[::1]:8900",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "https://ferry.example",
            "http://10.0.0.1:8900",
            "http://127.0.0.1.ferry.example",
            "x",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn an_id_needs_four_digits() {
        assert_eq!(run_id("1A2b").as_deref(), Ok("1a2b"));
        assert!(run_id("1a2").is_err());
        assert!(run_id("../..").is_err());
        assert!(run_id("----").is_err());
    }
}
