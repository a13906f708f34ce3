//! The connection: login, reconnection, its state, and requests that fail soon and say why.
//!
//! In: where the bus is and who calls. Out: [`Link`], on which everything else of JetStream stands.

use std::{fmt, future::Future, str::FromStr, time::Duration};

use async_nats::{Client, Event, HeaderMap, Message, Request, client::RequestErrorKind};
use bytes::Bytes;
use tokio::{
    sync::{broadcast, watch},
    time::timeout,
};

use crate::{BusError, User};

/// How long one request to the bus may take. A healthy one takes milliseconds, and a frozen
/// server is noticed by its missing pongs in about 3 s: longer than this nothing more comes.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long [`super::JetStream::connect`] waits before it returns without a connection. Long enough for
/// a server that starts at the same moment, short enough that a service soon says what it waits for.
pub const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// How often the connection is probed. Two missed answers end it, so a frozen server is noticed in
/// about 3 s instead of the client's default of minutes.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to connect. A restarted server answers in milliseconds.
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// Refusals that may wait to be seen. Each request that is under way sees all of them.
const REFUSALS: usize = 256;

/// Where the bus is, and who connects.
#[derive(Clone)]
pub struct ConnectOptions {
    /// For example `nats://ferry.example:4222`; several, divided by commas, for a cluster.
    pub url: String,
    /// Whose permissions it has; decides the prefix of its inboxes.
    pub user: User,
    /// The content of its nkey seed file. None: a server that asks for no login.
    pub seed: Option<String>,
    /// Its name in the server's list of connections.
    pub name: String,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Counts the connections, from 1.
    epoch: u64,
    connected: bool,
    /// The last attempt was refused for who we are.
    unauthorized: bool,
}

/// A connection that mends itself.
#[derive(Clone)]
pub(crate) struct Link {
    pub client: Client,
    connected: watch::Receiver<bool>,
    state: watch::Receiver<State>,
    refusals: broadcast::Sender<String>,
}

impl Link {
    /// Begins to connect, and waits for it for a while.
    pub async fn open(options: ConnectOptions) -> Result<Self, BusError> {
        let (connected_sender, connected) = watch::channel(false);
        let (state_sender, state) = watch::channel(State::default());
        let (refusals, _) = broadcast::channel(REFUSALS);
        let user = options.user;
        let on_event = {
            let refusals = refusals.clone();
            move |event: Event| {
                let refused = hear(user, &event, &state_sender);
                let now = state_sender.borrow().connected;
                connected_sender.send_if_modified(|was| std::mem::replace(was, now) != now);
                if let Some(text) = refused {
                    // Nobody may be waiting for it.
                    let _ = refusals.send(text);
                }
                std::future::ready(())
            }
        };
        let servers = options
            .url
            .split(',')
            .map(|one| async_nats::ServerAddr::from_str(one.trim()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| {
                BusError::Refused(format!("{:?} is no address of a bus: {error}", options.url))
            })?;
        let mut connect = match options.seed {
            Some(seed) => {
                let seed = seed.trim().to_owned();
                nkeys::KeyPair::from_seed(&seed).map_err(|error| {
                    BusError::Refused(format!("the seed of {user} is no nkey seed: {error}"))
                })?;
                async_nats::ConnectOptions::with_nkey(seed)
            }
            None => async_nats::ConnectOptions::new(),
        };
        connect = connect
            .name(options.name)
            .custom_inbox_prefix(user.inbox_prefix())
            .ping_interval(PING_INTERVAL)
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(|attempts| {
                if attempts <= 1 {
                    Duration::ZERO
                } else {
                    (Duration::from_millis(10) * 2u32.saturating_pow(attempts.min(16) as u32))
                        .min(RECONNECT_MAX)
                }
            })
            .event_callback(on_event)
            .retry_on_initial_connect();
        let client = connect.connect(servers).await.map_err(|error| {
            BusError::Refused(format!(
                "cannot begin to connect to {}: {error}",
                options.url
            ))
        })?;
        let link = Self {
            client,
            connected,
            state,
            refusals,
        };
        let mut state = link.state.clone();
        let first = timeout(
            CONNECT_WAIT,
            state.wait_for(|state| state.connected || state.unauthorized),
        )
        .await;
        match first {
            Ok(Ok(state)) if state.connected => Ok(()),
            Ok(Ok(_)) => Err(BusError::Refused(format!(
                "{} does not know the key of {user}; `ferry bus users` writes keys and the server's configuration together",
                options.url
            ))),
            Ok(Err(_)) => Err(BusError::Unavailable("the client ended".into())),
            Err(_) => {
                tracing::warn!(url = options.url, user = %user, "waiting for the bus");
                Ok(())
            }
        }?;
        Ok(link)
    }

    /// Whether there is a connection, and each change.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Waits until the connection is lost or another one than the `epoch`-th.
    pub async fn lost(&self, epoch: u64) {
        let mut state = self.state.clone();
        // The sender lives in the client; without it there is no connection either.
        let _ = state
            .wait_for(|state| !state.connected || state.epoch != epoch)
            .await;
    }

    /// Waits for a connection; what is sent without one would be stored at some later moment.
    pub async fn ready(&self, limit: Duration) -> Result<u64, BusError> {
        let mut state = self.state.clone();
        match timeout(limit, state.wait_for(|state| state.connected)).await {
            Ok(Ok(state)) => Ok(state.epoch),
            _ => Err(BusError::Unavailable("no connection".into())),
        }
    }

    /// A fresh subject below this user's inbox prefix.
    pub fn inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// A name that nobody else has.
    pub fn unique(&self) -> String {
        let inbox = self.inbox();
        inbox.rsplit('.').next().unwrap_or(&inbox).to_owned()
    }

    /// Waits for `work`, but no longer than the connection lasts, the server allows `subjects`, or `limit`.
    pub async fn guard<T>(
        &self,
        epoch: u64,
        subjects: &[&str],
        mut refusals: broadcast::Receiver<String>,
        limit: Duration,
        work: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        tokio::select! {
            biased;
            done = work => done,
            text = refusal_of(subjects, &mut refusals) => Err(BusError::Refused(text)),
            () = self.lost(epoch) => Err(BusError::Unavailable("the connection broke".into())),
            () = tokio::time::sleep(limit) => Err(BusError::Unavailable(format!("no answer within {limit:?}"))),
        }
    }

    /// Refusals from now on.
    pub fn refusals(&self) -> broadcast::Receiver<String> {
        self.refusals.subscribe()
    }

    /// Sends a message and waits for the answer to it.
    pub async fn request(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, BusError> {
        let epoch = self.ready(REQUEST_TIMEOUT).await?;
        let refusals = self.refusals();
        self.guard(
            epoch,
            &[subject],
            refusals,
            REQUEST_TIMEOUT,
            self.ask(subject, headers, payload),
        )
        .await
    }

    /// The bare request, for those that guard more than one message.
    pub async fn ask(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, BusError> {
        let mut request = Request::new()
            .payload(payload)
            .timeout(Some(REQUEST_TIMEOUT));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        self.client.send_request(subject.to_owned(), request).await.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => BusError::Unavailable(format!("no answer within {REQUEST_TIMEOUT:?}")),
            RequestErrorKind::NoResponders => BusError::Unavailable(format!(
                "nobody takes {subject}: JetStream is starting, or `ferry bus init` was never run"
            )),
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                BusError::Refused(format!("{subject}: {error}"))
            }
            _ => BusError::Unavailable(error.to_string()),
        })
    }
}

/// Notes what an event means; gives the text of a refusal.
fn hear(user: User, event: &Event, state: &watch::Sender<State>) -> Option<String> {
    match event {
        Event::Connected => {
            state.send_modify(|state| {
                *state = State {
                    epoch: state.epoch + 1,
                    connected: true,
                    unauthorized: false,
                }
            });
            tracing::info!(%user, "connected to the bus");
        }
        Event::Disconnected | Event::Closed => {
            state.send_modify(|state| state.connected = false);
            tracing::warn!(%user, "the connection to the bus is lost");
        }
        Event::SlowConsumer(id) => {
            tracing::error!(%user, subscription = id, "messages were dropped: too slow")
        }
        Event::ServerError(error) => {
            let text = error.to_string();
            tracing::error!(%user, error = text, "the bus refuses");
            return Some(text);
        }
        Event::ClientError(error) => {
            let text = error.to_string();
            if text.contains("authorization") || text.contains("authentication") {
                state.send_modify(|state| state.unauthorized = true);
            }
            tracing::warn!(%user, error = text, "no connection to the bus");
        }
        Event::LameDuckMode | Event::Draining => {
            tracing::info!(%user, %event, "the bus is about to stop")
        }
    }
    None
}

/// Waits for a refusal that names one of the subjects.
pub(super) async fn refusal_of(
    subjects: &[&str],
    refusals: &mut broadcast::Receiver<String>,
) -> String {
    loop {
        match refusals.recv().await {
            Ok(text)
                if subjects
                    .iter()
                    .any(|subject| text.contains(&format!("\"{subject}\""))) =>
            {
                return text;
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The client is gone; the guard's other arms end the wait.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
