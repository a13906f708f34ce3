//! One suite for both buses: what holds in memory holds on a real nats-server.
//!
//! In: nothing; nats-server is fetched by the rig. Out: each test runs twice, on a bus of its own with
//! the users and permissions of production. In memory the clock is paused, so no test waits there.

/// Runs each test on both buses, with its limits.
macro_rules! on_both {
    ($($name:ident($limits:expr);)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test(start_paused = true)]
            async fn $name() -> Result<()> {
                super::$name(&mut World::memory(&$limits)).await
            })*
        }
        mod nats {
            use super::*;
            $(#[tokio::test]
            async fn $name() -> Result<()> {
                super::$name(&mut World::nats(&$limits).await?).await
            })*
        }
    };
}

mod acks;
mod asks;
mod commits;
mod deadlines;
mod deliveries;
mod model;
mod permissions;
mod reading;
#[path = "../suite/real.rs"]
mod real;
mod restores;
mod world;
