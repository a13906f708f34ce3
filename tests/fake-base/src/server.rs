//! The two ports of a base. Goes in: connections. Comes out: replies, while
//! the faults let them through. A port that refuses stays reserved, so that
//! nobody else gets it meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::base::Base;
use crate::commands;
use crate::wire::{self, Incoming, Reply, Request};

/// How many connections may wait to be accepted, as in arklet.
const BACKLOG: u32 = 1024;

/// Which port it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Arklet's.
    Arklet,
    /// The modules' own HTTP.
    Modules,
}

/// A port on loopback; 0 takes any.
pub(crate) fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = reserve(SocketAddr::from(([127, 0, 0, 1], port)))?.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Bound and not listening: connections are refused.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves until the fake base is stopped.
pub(crate) async fn serve(base: Arc<Base>, listener: TcpListener, address: SocketAddr, port: Port) {
    let stopped = base.stopped.clone();
    let served = async {
        if let Err(error) = accept(&base, listener, address, port).await {
            tracing::error!(%error, ?port, "the fake base cannot serve this port any more");
        }
    };
    tokio::select! {
    biased;
            () = stopped.cancelled() => {}
            () = served => {}
        }
}

async fn accept(
    base: &Arc<Base>,
    mut listener: TcpListener,
    address: SocketAddr,
    port: Port,
) -> io::Result<()> {
    let mut faults = base.faults.subscribe();
    loop {
        if faults.borrow_and_update().refuse_connections {
            drop(listener);
            let reserved = reserve(address)?;
            base.cut_connections();
            base.faults.off(|faults| faults.refuse_connections).await;
            listener = reserved.listen(BACKLOG)?;
        }
        tokio::select! {
            biased;
            changed = faults.changed() => if changed.is_err() { return Ok(()) },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(Arc::clone(base), stream, port))),
                // Out of file descriptors: the next one may fit again.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

async fn connection(base: Arc<Base>, mut stream: TcpStream, port: Port) {
    let life = base.life();
    if base.faults.get().refuse_connections {
        return;
    }
    let stopped = base.stopped.clone();
    tokio::select! {
        biased;
        () = life.over.cancelled() => {}
        () = life.cut.cancelled() => {}
        () = stopped.cancelled() => {}
        // The client may go away before the reply; that is no concern of ours.
        _ = exchange(&base, &mut stream, port) => {}
    }
}

async fn exchange(base: &Arc<Base>, stream: &mut TcpStream, port: Port) -> io::Result<()> {
    base.faults.thawed().await;
    let reply = match wire::read(stream).await? {
        Incoming::Nothing => return Ok(()),
        Incoming::Refused(bytes) => Reply::Bytes(bytes.to_vec()),
        Incoming::Request(request) => match port {
            Port::Arklet => commands::answer(base, request).await,
            Port::Modules => module_answer(base, &request).await,
        },
    };
    base.faults.thawed().await;
    wire::write(stream, reply).await
}

/// What the module that owns the path answers.
pub(crate) async fn module_answer(base: &Base, request: &Request) -> Reply {
    base.faults.thawed().await;
    let path = request.path.as_str();
    let owner = base.world().at_path(path).cloned();
    let Some(module) = owner else {
        let body = json!({"status": 404, "error": "Not Found", "path": path}).to_string();
        return wire::tomcat_reply(404, &[("Content-Type", "application/json")], &body);
    };
    let context = module
        .context
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('/');
    let below = path.strip_prefix(context).unwrap_or(path);
    if below.is_empty() {
        // Tomcat sends the bare context path to itself with a slash.
        let location = format!("http://{}{path}/", request.host);
        return wire::tomcat_reply(302, &[("Location", &location)], "");
    }
    let (status, body) = match module.behaviour.answers.get(below) {
        Some(answer) => {
            tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
            (answer.status, answer.body.clone())
        }
        None => (200, format!("{} {}", module.name, module.version)),
    };
    wire::tomcat_reply(
        status,
        &[("Content-Type", "text/plain;charset=UTF-8")],
        &body,
    )
}
