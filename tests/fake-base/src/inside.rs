//! A fake base without sockets, for a simulation. In: exchanges, as its two ports would get them. Out:
//! answers, or what a client of a base in that state would meet. Only the caller's own time limit ends
//! an exchange that is never answered.

use std::sync::Arc;

use ferry_web::{Answer, Ask, Unanswered, Web};
use tokio::sync::oneshot;

use crate::base::Base;
use crate::ledger::Ledger;
use crate::server::{self, Port};
use crate::wire::{Reply, Request};
use crate::{FakeBase, Options, StartError, commands};

impl FakeBase {
    /// A base that is reached through [`Self::exchange`] alone, and downloads through `web`. Ports of the
    /// options are not opened; its addresses are `http://NAME.arklet`, `http://NAME.modules`.
    ///
    /// # Errors
    /// [`StartError::Ledger`].
    pub fn inside(options: Options, web: Arc<dyn Web>) -> Result<Self, StartError> {
        let path = options.ledger.clone();
        let ledger = Ledger::open(path.as_deref()).map_err(|source| StartError::Ledger {
            path: path.unwrap_or_default().display().to_string(),
            source,
        })?;
        let name = options.name.clone();
        Ok(Self {
            arklet_url: format!("http://{name}.arklet"),
            modules_url: format!("http://{name}.modules"),
            control_url: String::new(),
            base: Arc::new(Self::base(options, ledger, web)),
        })
    }

    /// One exchange with a port. A request that was sent is handled whether or not the caller waits.
    ///
    /// # Errors
    /// [`Unanswered::Broken`] where the connection is refused or cut.
    pub async fn exchange(&self, port: Port, ask: Ask) -> Result<Answer, Unanswered> {
        let base = self.base.clone();
        if base.faults.get().refuse_connections {
            return Err(Unanswered::Broken("Connection refused".into()));
        }
        let life = base.life();
        let (told, reply) = oneshot::channel();
        let stopped = base.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = life.over.cancelled() => {}
                () = life.cut.cancelled() => {}
                () = stopped.cancelled() => {}
                // The client may be gone by then; that is no concern of the base.
                reply = handle(&base, port, &ask) => drop(told.send(reply)),
            }
        });
        match reply.await {
            Ok(Reply::Bytes(bytes)) => Ok(parse(&bytes)),
            Ok(Reply::Silence) => std::future::pending().await,
            Ok(Reply::Cut) | Err(_) => Err(Unanswered::Broken(
                "the connection was cut without a reply".into(),
            )),
        }
    }
}

async fn handle(base: &Arc<Base>, port: Port, ask: &Ask) -> Reply {
    base.faults.thawed().await;
    let request = Request {
        method: if ask.json.is_some() { "POST" } else { "GET" }.to_owned(),
        path: ask.url.path().to_owned(),
        host: ask.url.host_str().unwrap_or_default().to_owned(),
        body: ask.json.clone().unwrap_or_default(),
    };
    let reply = match port {
        Port::Arklet => commands::answer(base, request).await,
        Port::Modules => server::module_answer(base, &request).await,
    };
    base.faults.thawed().await;
    reply
}

fn parse(bytes: &[u8]) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        _ => bytes.len(),
    };
    let location = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("location"))
        .and_then(|header| std::str::from_utf8(header.value).ok())
        .map(str::to_owned);
    Answer {
        status: response.code.unwrap_or_default(),
        location,
        body: bytes[head..].to_vec(),
        whole: true,
    }
}
