//! `POST /modules/{module}/deploy`: a jar that was built elsewhere.
//!
//! In: the jar as the body. Out: it is in the store under its digest, and the
//! command that names it is durable.

use std::path::Path as FilePath;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use ferry_api::{CommandAnswer, DeployQuery};
use ferry_ark::{ArkManifest, Manifest};
use ferry_bus::BusError;
use ferry_events::artifact::Biz;
use ferry_events::{Digest, Reason, Verb};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::refusal::Refusal;
use super::{body, commands};
use crate::decide::access::Caller;
use crate::decide::command;
use crate::effects::app::App;

/// How long an upload may take: the largest jar (512 MiB by default) at 10 Mbit/s.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// How long the store may take for it: at its measured 46 MiB/s it needs seconds.
const STORE_DEADLINE: Duration = Duration::from_secs(60);

/// The largest manifest that is read. A real one has a few KiB.
const MANIFEST_MAX: u64 = 1024 * 1024;

pub(super) async fn take(
    State(app): State<App>,
    caller: Caller,
    Path(module): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    jar: Body,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let query: DeployQuery = body::query(&uri)?;
    let config = app.config();
    commands::may_start(&config, &caller, &module)?;
    let commit = command::text("commit", query.commit).map_err(Refusal::bad_request)?;
    let why = command::text("why", query.why).map_err(Refusal::bad_request)?;
    let (force, why) = (query.force, commands::forced(query.force, why)?);
    let limit = config.builder.artifact_limit;
    body::announced(&headers, "the jar", limit)?;
    let Ok(_turn) = app.upload_turns.clone().try_acquire_owned() else {
        return Err(Refusal::unavailable(
            "uploads-full",
            "too many jars are being uploaded",
        ));
    };

    let file = tempfile::NamedTempFile::new_in(&*app.uploads).map_err(|error| disk(&error))?;
    let upload = receive(jar, file.path(), limit);
    let (digest, size) = tokio::time::timeout(UPLOAD_DEADLINE, upload)
        .await
        .unwrap_or(Err(Refusal::too_slow(UPLOAD_DEADLINE)))?;
    let path = file.path().to_owned();
    let base = config.is_base(&module).then(|| module.clone());
    let biz = tokio::task::spawn_blocking(move || identity(&path, base))
        .await
        .map_err(|_| not_a_biz("the jar could not be read"))??;

    let store = app.bus.put_jar(&digest, file.path());
    match tokio::time::timeout(STORE_DEADLINE, store).await {
        Ok(Ok(())) => {}
        Ok(Err(BusError::Full(detail))) => {
            return Err(Refusal::new(
                StatusCode::INSUFFICIENT_STORAGE,
                Reason::DiskFull.code(),
                detail,
            )
            .next(Reason::DiskFull.next_step()));
        }
        Ok(Err(error)) => return Err(not_stored(&error.to_string())),
        Err(_) => {
            return Err(not_stored(&format!(
                "it took longer than {STORE_DEADLINE:?}"
            )));
        }
    }
    let verb = Verb::Deploy {
        module,
        digest,
        size,
        biz,
        commit,
        force,
    };
    commands::send(&app, &caller, verb, why, &headers).await
}

/// Writes the body to a file, and hashes it on the way.
async fn receive(jar: Body, path: &FilePath, limit: u64) -> Result<(Digest, u64), Refusal> {
    let mut file = tokio::fs::File::create(path)
        .await
        .map_err(|error| disk(&error))?;
    let mut parts = jar.into_data_stream();
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::bad_request("the jar broke off"))?;
        size += part.len() as u64;
        if size > limit {
            return Err(Refusal::too_large("the jar", limit));
        }
        hash.update(&part);
        file.write_all(&part).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    if size == 0 {
        return Err(not_a_biz(
            "the body is empty: send the jar as the request's body",
        ));
    }
    Ok((Digest::from_hash(hash.finalize().into()), size))
}

/// What the jar says of itself; that of a base of this name says little.
fn identity(path: &FilePath, base: Option<String>) -> Result<Biz, Refusal> {
    use std::io::Read as _;

    let file = std::fs::File::open(path).map_err(|error| disk(&error))?;
    let mut jar = zip::ZipArchive::new(file).map_err(|error| not_a_biz(error.to_string()))?;
    if base.is_some() && !jar.file_names().any(|it| it.starts_with("BOOT-INF/lib/")) {
        let reason = Reason::NotABase;
        let detail = "the jar has no BOOT-INF/lib";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Refusal::new(status, reason.code(), detail).next(reason.next_step()));
    }
    let mut bytes = Vec::new();
    jar.by_name("META-INF/MANIFEST.MF")
        .map_err(|_| not_a_biz("it has no META-INF/MANIFEST.MF"))?
        .take(MANIFEST_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| not_a_biz(error.to_string()))?;
    let manifest = Manifest::parse(&bytes).map_err(|error| not_a_biz(error.to_string()))?;
    if let Some(name) = base {
        let version = manifest.get("Implementation-Version");
        return Ok(Biz {
            name,
            version: version.unwrap_or("unknown").to_owned(),
            web_context_path: None,
        });
    }
    let ark = ArkManifest::of(&manifest).map_err(|error| not_a_biz(error.to_string()))?;
    Ok(Biz {
        name: ark.name,
        version: ark.version,
        web_context_path: ark.web_context_path,
    })
}

fn not_a_biz(detail: impl Into<String>) -> Refusal {
    let reason = Reason::NotABiz;
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, reason.code(), detail).next(reason.next_step())
}

fn not_stored(detail: &str) -> Refusal {
    let reason = Reason::StoreFailed;
    Refusal::unavailable(reason.code(), format!("the jar was not stored: {detail}"))
}

fn disk(error: &std::io::Error) -> Refusal {
    if error.kind() == std::io::ErrorKind::StorageFull {
        let reason = Reason::DiskFull;
        return Refusal::new(
            StatusCode::INSUFFICIENT_STORAGE,
            reason.code(),
            reason.what(),
        )
        .next(reason.next_step());
    }
    tracing::error!(%error, "an upload cannot be written");
    Refusal::unavailable(
        "disk-failed",
        "the gateway cannot write the jar to its disk",
    )
}
