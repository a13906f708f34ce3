//! What the gateway does outside: the inbox on disk, the bus, HTTP.

pub mod accept;
pub mod app;
pub mod configuration;
pub mod forward;
pub mod http;
pub mod inbox;
pub mod letters;
pub mod memory;
pub mod projection;
