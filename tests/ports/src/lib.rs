//! Ports of loopback for the servers of tests, which are told their port before they
//! start, or start again on it. In: nothing. Out: a port that no other test and no
//! client's socket gets while this process runs.
//!
//! A port that the system chose (port 0) and that was let go of is anyone's: of the
//! next who asks, and of every connection that goes out before the server listens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

/// Below the range from which systems give ports to clients
/// (`net.ipv4.ip_local_port_range`: 32768 on Linux, 49152 elsewhere).
const PORTS: Range<u16> = 18_000..32_000;

/// Locked files by which the tests of all processes know what is taken. The system
/// unlocks them when the process ends, however it does.
static TAKEN: Mutex<Taken> = Mutex::new(Taken {
    locks: Vec::new(),
    next: None,
});

struct Taken {
    locks: Vec<File>,
    next: Option<u16>,
}

/// A port of 127.0.0.1 that is free, and that stays this process's until it ends.
///
/// # Errors
/// When all are taken, or the folder of locks (`ferry-ports` among the temporary
/// files) cannot be written.
pub fn port() -> Result<u16> {
    let folder = std::env::temp_dir().join("ferry-ports");
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut taken = TAKEN.lock().expect("no holder panics");
    for _ in PORTS {
        let port = taken.turn();
        // What cannot be opened is another user's.
        let Ok(lock) = File::create(folder.join(port.to_string())) else {
            continue;
        };
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.locks.push(lock);
            return Ok(port);
        }
    }
    bail!("no free port of 127.0.0.1 in {PORTS:?}")
}

/// [`port`] with its address.
///
/// # Errors
/// As [`port`].
pub fn address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port()?)))
}

impl Taken {
    /// The next port in turn. Processes begin apart, so that one does not get what
    /// another has only just left.
    fn turn(&mut self) -> u16 {
        let count = u32::from(PORTS.end - PORTS.start);
        let first = || {
            let at = std::process::id().wrapping_mul(61) % count;
            PORTS.start + u16::try_from(at).unwrap_or(0)
        };
        let port = self.next.unwrap_or_else(first);
        self.next = Some(if port + 1 < PORTS.end {
            port + 1
        } else {
            PORTS.start
        });
        port
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_gets_a_port_twice() {
        let ports: BTreeSet<u16> = (0..200).map(|_| port().unwrap()).collect();
        assert_eq!(ports.len(), 200);
        // They are this process's, though nobody listens there.
        let folder = std::env::temp_dir().join("ferry-ports");
        for port in ports {
            assert!(PORTS.contains(&port));
            let lock = File::create(folder.join(port.to_string())).unwrap();
            assert!(lock.try_lock().is_err(), "{port}");
        }
    }
}
