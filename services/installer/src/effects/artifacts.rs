//! The artifact server: bases fetch their jars here, by signed addresses that expire.
//!
//! In: `GET /artifacts/<digest>.jar` with a grant and its signature. Out: the jar, if the grant is ours,
//! not expired, its plan still in force, and its intent in hand. A frozen installer's address is thus of no use either.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use ferry_bus::BusError;
use ferry_config::Installer;
use ferry_events::Digest;
use ferry_runtime::{Clock, Feeder, Hands};
use futures::TryStreamExt;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;
use tracing::{error, info, warn};
use url::Url;
use uuid::Uuid;

use super::{Cache, CacheError, Grant, InstallerEffects, Signer, cache::IN_PLACE, fence};
use crate::decide::InstallerDecide;

/// Between two attempts to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Server {
    hands: Hands,
    cache: Arc<Cache>,
    signer: Arc<Signer>,
    clock: Clock,
    fetched: Arc<Fetched>,
}

/// Fetches that are remembered: many times more than installations at a time.
const FETCHED_MAX: usize = 8192;

/// The requests whose jar was served whole, so that a failed start is told from a failed download.
#[derive(Debug, Default)]
pub(super) struct Fetched(Mutex<VecDeque<Uuid>>);

impl Fetched {
    fn note(&self, request: Uuid) {
        let mut requests = self.0.lock().expect("no panic under this lock");
        if requests.len() >= FETCHED_MAX {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// Whether the jar for this request was served whole, by this process.
    pub(super) fn has(&self, request: Uuid) -> bool {
        self.0
            .lock()
            .expect("no panic under this lock")
            .contains(&request)
    }
}

impl Server {
    /// Whether the installation is still to be: its plan in force, its intent in hand.
    async fn is_wanted(&self, grant: &Grant) -> Result<bool, BusError> {
        let plan = fence::in_force(&self.hands, &grant.module, &grant.environment, &grant.plan);
        let intent = fence::in_hand(&self.hands, &grant.base, grant.request);
        Ok(plan.await? && intent.await?)
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(flatten)]
    grant: GrantText,
    signature: String,
}

/// A grant as it stands in a query: all text.
#[derive(Deserialize)]
struct GrantText {
    task: Uuid,
    request: Uuid,
    plan: Digest,
    base: String,
    module: String,
    environment: String,
    expires: String,
}

impl InstallerEffects {
    /// The artifact server without its listener.
    pub fn artifact_routes(&self) -> Router {
        let server = Server {
            hands: self.hands.clone(),
            cache: self.cache.clone(),
            signer: self.signer.clone(),
            clock: self.clock.clone(),
            fetched: self.fetched.clone(),
        };
        Router::new()
            .route("/artifacts/{file}", get(artifact))
            .with_state(server)
    }

    /// Serves until the service drains; listens anew when the configuration moves it.
    pub(super) async fn serve(&self, mut feeder: Feeder<InstallerDecide>) {
        let router = self.artifact_routes();
        loop {
            let wanted = feeder.config().installer.clone();
            let Some((listener, url)) = listen(&wanted).await else {
                tokio::time::sleep(LISTEN_AGAIN).await;
                continue;
            };
            info!(%url, "artifacts are served");
            self.served.send_replace(Some(url));
            let served = axum::serve(listener, router.clone()).into_future();
            tokio::select! {
            biased;
                            ended = served => error!(?ended, "the artifact server ended; it begins again"),
                            () = moved(&mut feeder, &wanted) => info!("the artifact server moves"),
                        }
            self.served.send_replace(None);
        }
    }
}

/// Waits until the configuration has another address.
async fn moved(feeder: &mut Feeder<InstallerDecide>, was: &Installer) {
    loop {
        feeder.config_changed().await;
        let now = feeder.config();
        if now.installer.listen != was.listen || now.installer.url != was.url {
            return;
        }
    }
}

/// Listens as configured. Where that address is taken (by a second installer on this machine) and nobody
/// has to know it, any free port does: each installer signs addresses of its own.
async fn listen(wanted: &Installer) -> Option<(TcpListener, Url)> {
    let listener = match TcpListener::bind(wanted.listen).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && wanted.url.is_none() => {
            warn!(address = %wanted.listen, "the artifact address is taken; any free port is used");
            TcpListener::bind(SocketAddr::new(wanted.listen.ip(), 0))
                .await
                .ok()?
        }
        Err(error) => {
            error!(address = %wanted.listen, %error, "artifacts cannot be served; trying again");
            return None;
        }
    };
    let bound = listener.local_addr().ok()?;
    let url = Installer {
        listen: bound,
        ..wanted.clone()
    }
    .artifact_url();
    Some((listener, url))
}

async fn artifact(
    State(server): State<Server>,
    Path(file): Path<String>,
    Query(Asked { grant, signature }): Query<Asked>,
) -> Response {
    let refuse = |status: StatusCode, why: &str| (status, format!("{why}\n")).into_response();
    let jar = file
        .strip_suffix(".jar")
        .and_then(|digest| digest.parse::<Digest>().ok());
    let (Some(jar), Ok(expires)) = (jar, grant.expires.parse()) else {
        return refuse(StatusCode::NOT_FOUND, "no such artifact");
    };
    let GrantText {
        task,
        request,
        plan,
        base,
        module,
        environment,
        ..
    } = grant;
    let grant = Grant {
        task,
        request,
        plan,
        base,
        module,
        environment,
        expires,
    };
    if !server.signer.is_ours(&jar, &grant, &signature) {
        return refuse(
            StatusCode::FORBIDDEN,
            "this address was not signed by this installer",
        );
    }
    if grant.expires < server.clock.now().timestamp() {
        return refuse(StatusCode::GONE, "this address has expired");
    }
    match server.is_wanted(&grant).await {
        Ok(true) => {}
        Ok(false) => {
            return refuse(
                StatusCode::CONFLICT,
                "its plan is not in force any more, or its installation is over",
            );
        }
        Err(error) => {
            warn!(base = grant.base, %error, "a jar is not served without the plan in force");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "the bus does not answer");
        }
    }
    match open(&server, &jar, request).await {
        Ok((size, body)) => (
            [
                (header::CONTENT_TYPE, "application/java-archive".to_owned()),
                (header::CONTENT_LENGTH, size.to_string()),
            ],
            body,
        )
            .into_response(),
        Err(CacheError::Missing(why)) => refuse(StatusCode::NOT_FOUND, &why),
        Err(error) => {
            warn!(base = grant.base, jar = jar.short(), %error, "a jar cannot be served");
            refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

async fn open(server: &Server, jar: &Digest, request: Uuid) -> Result<(u64, Body), CacheError> {
    let path = server.cache.fetch(jar).await?;
    let unreadable = |error: std::io::Error| CacheError::Unavailable(error.to_string());
    let size = std::fs::metadata(&path).map_err(unreadable)?.len();
    let fetched = server.fetched.clone();
    if size <= IN_PLACE {
        let bytes = std::fs::read(path).map_err(unreadable)?;
        fetched.note(request);
        return Ok((size, bytes.into()));
    }
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut left = size;
    let bytes = ReaderStream::new(file).inspect_ok(move |chunk| {
        left = left.saturating_sub(chunk.len() as u64);
        if left == 0 {
            fetched.note(request);
        }
    });
    Ok((size, Body::from_stream(bytes)))
}
