//! The sections of the services, except the builder's: `[bus]`, `[gateway]`,
//! `[installer]`, `[verifier]`. In: serde. Out: their typed form with defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::text::{GIB, MIB};

/// `[bus]`: the NATS server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bus {
    /// Address of the NATS server (`nats://` or `tls://`; several with commas).
    /// Credentials are each service's own and do not stand here.
    #[schemars(length(min = 1), extend("format" = "bus-url"))]
    pub url: String,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
        }
    }
}

/// `[gateway]`: webhooks, API, event stream, dashboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Address to listen on.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// Public address, for absolute links in events. Default: made from
    /// `listen`; ask [`Gateway::public_url`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "http-url"))]
    pub url: Option<Url>,
    /// Largest body of one webhook, in bytes. 25 MiB is GitHub's own limit:
    /// no delivery that a forge sends is refused for its size.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1KiB", "x-most" = "1GiB"))]
    pub body_limit: u64,
    /// Largest size of the inbox on disk, in bytes. At a few tens of KiB a push,
    /// 1 GiB holds tens of thousands of pushes through a silence of the bus;
    /// beyond it a delivery is answered 503, so that the forge sends it again.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1MiB"))]
    pub inbox_limit: u64,
    /// Room that the inbox leaves free on its disk, in bytes; below it a delivery
    /// is answered 503. 256 MiB: taking out what was delivered must write too, and
    /// a disk without room breaks whatever else is on it.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1MiB"))]
    pub min_free_disk: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: local(8900),
            url: None,
            body_limit: 25 * MIB,
            inbox_limit: GIB,
            min_free_disk: 256 * MIB,
        }
    }
}

/// `[installer]`: changes bases; serves artifacts to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Installer {
    /// Address on which bases fetch artifacts (signed, expiring URLs).
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// How bases reach `listen`. Default: made from it; ask
    /// [`Installer::artifact_url`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "http-url"))]
    pub url: Option<Url>,
    /// How long an artifact's URL works. Longer than one installation, so that
    /// no honest base meets a dead link; short, so that a stale one is of no use.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "1h"))]
    pub url_ttl: Duration,
    /// How long an installation may take: a Spring context of some size starts
    /// in seconds; a minute is far beyond a healthy one.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "100ms", "x-most" = "1h"))]
    pub install_timeout: Duration,
    /// How long an uninstallation may take; closing a context is quicker than
    /// opening it.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "100ms", "x-most" = "1h"))]
    pub uninstall_timeout: Duration,
    /// How long one arklet call may take. All calls are asynchronous, so an
    /// answer that takes seconds comes from a base that is in trouble.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub request_timeout: Duration,
    /// Bases changed at a time by one installer. Each costs a socket and one
    /// reader of an artifact; 64 keeps a small machine's disk and network from
    /// being the reason of time-outs.
    #[schemars(range(min = 1, max = 4096))]
    pub parallel: u32,
}

impl Default for Installer {
    fn default() -> Self {
        Self {
            listen: local(8910),
            url: None,
            url_ttl: Duration::from_secs(120),
            install_timeout: Duration::from_secs(60),
            uninstall_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(5),
            parallel: 64,
        }
    }
}

/// `[verifier]`: looks at bases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Verifier {
    /// Time between two looks at the health of one base.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "50ms", "x-most" = "1h"))]
    pub poll: Duration,
    /// How long one look may take.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub health_timeout: Duration,
    /// A base is lost after so many missed looks in a row. Three, so that one
    /// pause for garbage collection loses nothing. A warning is given where a
    /// base that dies is noticed later than after 5 s.
    #[schemars(range(min = 1, max = 1000))]
    pub lost_after: u32,
    /// How many looks at bases begin in a second, over all of them. Where there are more bases than
    /// `poll` × this, each is looked at less often, and a warning says how often. Second and later
    /// looks at bases that missed one are counted apart.
    #[schemars(range(min = 1, max = 100_000))]
    pub looks_per_second: u32,
}

impl Verifier {
    /// The time between two looks at each of so many bases.
    pub fn round(&self, bases: usize) -> Duration {
        let bases = u32::try_from(bases).unwrap_or(u32::MAX);
        self.poll.max(self.pause() * bases)
    }

    /// The least time between the beginnings of two looks.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(1) / self.looks_per_second.max(1)
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            health_timeout: Duration::from_secs(1),
            lost_after: 3,
            looks_per_second: 500,
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
