//! Jars in the object store (ADR-20), named by their digest, never overwritten.
//!
//! In: files and digests. Out: files that are whole and right, or an error.
//!
//! Chunks stand under a subject that is derived from the digest, and each is stored only right
//! after the one before it. So a put that failed leaves a beginning that the next put continues,
//! and several puts of one jar at a time help each other: there are no orphans to clean up.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use async_nats::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use ferry_events::{Digest, subject::ARTIFACTS};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    direct::{self, Pages, Stored},
    link::Link,
    wire::{self, PubAck, WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE_CONSTANT},
};
use crate::BusError;

/// The size of a chunk in bytes: half of the server's usual `max_payload`, so that few answers are
/// waited for and headers have room.
pub const CHUNK: usize = 512 << 10;
/// Counts a jar's chunks, from 0.
const INDEX: &str = "Ferry-Chunk";

/// The stream of the object store.
pub(crate) fn stream() -> String {
    format!("OBJ_{ARTIFACTS}")
}

/// An object's description (ADR-20), as far as Ferry reads and writes it.
#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    bucket: String,
    /// The last token of its chunks' subject.
    nuid: String,
    size: u64,
    chunks: u64,
    digest: String,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    deleted: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Options {
    max_chunk_size: Option<usize>,
}

fn meta_subject(digest: &Digest) -> String {
    format!(
        "$O.{ARTIFACTS}.M.{}",
        BASE64_URL_SAFE.encode(digest.as_str())
    )
}

fn chunks_subject(nuid: &str) -> String {
    format!("$O.{ARTIFACTS}.C.{nuid}")
}

async fn meta(link: &Link, digest: &Digest) -> Result<Option<Meta>, BusError> {
    let Some(stored) = direct::last(link, &stream(), &meta_subject(digest)).await? else {
        return Ok(None);
    };
    let meta: Meta = serde_json::from_slice(&stored.payload).map_err(|error| {
        BusError::Damaged(format!(
            "the description of jar {digest} is damaged: {error}"
        ))
    })?;
    Ok((!meta.deleted).then_some(meta))
}

/// Stores a file.
pub(super) async fn put(link: &Link, digest: &Digest, file: &Path) -> Result<(), BusError> {
    let path = file.to_path_buf();
    let (hash, size) = blocking(move || hash(&path)).await?;
    if hash != *digest {
        return Err(BusError::Damaged(format!(
            "{} is {hash}, not {digest}",
            file.display()
        )));
    }
    let nuid = format!("{digest}-{CHUNK}");
    let subject = chunks_subject(&nuid);
    let (meta, stored) = tokio::try_join!(meta(link, digest), stored_chunks(link, &subject))?;
    if meta.is_some() {
        return Ok(());
    }
    let chunks = size.div_ceil(CHUNK as u64);
    append_chunks(link, file, &subject, chunks, stored).await?;
    let hash = hex::decode(digest.as_str()).expect("a digest is hexadecimal");
    let meta = Meta {
        name: digest.to_string(),
        bucket: ARTIFACTS.into(),
        nuid,
        size,
        chunks,
        digest: format!("SHA-256={}", BASE64_URL_SAFE.encode(hash)),
        options: Options {
            max_chunk_size: Some(CHUNK),
        },
        deleted: false,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_ROLLUP, "sub");
    let payload = serde_json::to_vec(&meta).expect("a description is always JSON");
    // Someone else was first: it is the same jar.
    append(link, &meta_subject(digest), headers, payload.into(), 0)
        .await
        .map(drop)
}

async fn append_chunks(
    link: &Link,
    file: &Path,
    subject: &str,
    chunks: u64,
    (mut index, mut last): (u64, u64),
) -> Result<(), BusError> {
    while index < chunks {
        let path = file.to_path_buf();
        let chunk = blocking(move || read_chunk(&path, index)).await?;
        let mut headers = HeaderMap::new();
        headers.insert(INDEX, index.to_string().as_str());
        match append(link, subject, headers, chunk, last).await? {
            Some(sequence) => (index, last) = (index + 1, sequence),
            None => (index, last) = stored_chunks(link, subject).await?,
        }
    }
    Ok(())
}

/// How many chunks stand there, and the last one's sequence.
async fn stored_chunks(link: &Link, subject: &str) -> Result<(u64, u64), BusError> {
    let Some(stored) = direct::last(link, &stream(), subject).await? else {
        return Ok((0, 0));
    };
    Ok((index_of(&stored)? + 1, stored.sequence))
}

fn index_of(stored: &Stored) -> Result<u64, BusError> {
    let index = stored
        .headers
        .get(INDEX)
        .and_then(|value| value.as_str().parse().ok());
    index.ok_or_else(|| {
        BusError::Damaged(format!(
            "{} holds a chunk without its number",
            stored.subject
        ))
    })
}

/// Stores a message right after the `last` one of its subject; none: another stands there.
async fn append(
    link: &Link,
    subject: &str,
    mut headers: HeaderMap,
    payload: Bytes,
    last: u64,
) -> Result<Option<u64>, BusError> {
    headers.insert(
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        last.to_string().as_str(),
    );
    let ack: PubAck = wire::parse("jar", &link.request(subject, Some(headers), payload).await?)?;
    match ack.error {
        None => Ok(Some(ack.seq)),
        Some(error)
            if matches!(
                error.err_code,
                WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT
            ) =>
        {
            Ok(None)
        }
        Some(error) => Err(error.into_bus_error("jar")),
    }
}

/// Fetches a jar.
pub(super) async fn get(link: &Link, digest: &Digest, file: &Path) -> Result<(), BusError> {
    let Some(meta) = meta(link, digest).await? else {
        return Err(BusError::Missing(format!("jar {digest}")));
    };
    let folder = file.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut temporary = blocking(move || {
        tempfile::NamedTempFile::new_in(&folder)
            .map_err(|error| BusError::Io(format!("{} takes no new file", folder.display()), error))
    })
    .await?;
    let (stream, subject) = (stream(), chunks_subject(&meta.nuid));
    let mut pages = Pages::new(link, &stream, &subject);
    let mut hasher = Sha256::new();
    let mut size = 0;
    while let Some(page) = pages.next().await? {
        size += page
            .iter()
            .map(|chunk| chunk.payload.len() as u64)
            .sum::<u64>();
        (temporary, hasher) = blocking(move || {
            for chunk in page {
                hasher.update(&chunk.payload);
                std::io::Write::write_all(&mut temporary, &chunk.payload).map_err(|error| {
                    BusError::Io(
                        format!("{} cannot be written", temporary.path().display()),
                        error,
                    )
                })?;
            }
            Ok((temporary, hasher))
        })
        .await?;
    }
    let found = Digest::from_hash(hasher.finalize().into());
    if found != *digest {
        // A replica that lags behind has only the beginning yet.
        let (stored, _) = stored_chunks(link, &subject).await?;
        let text = format!(
            "jar {digest} on the bus is damaged: {size} bytes of {}, digest {found}",
            meta.size
        );
        return Err(
            if size < meta.size && stored >= meta.chunks && stream_is_replicated(link).await? {
                BusError::Unavailable(text)
            } else {
                BusError::Damaged(text)
            },
        );
    }
    let file = file.to_path_buf();
    blocking(move || keep(temporary, &file)).await
}

/// Whether there are replicas that may lag behind.
async fn stream_is_replicated(link: &Link) -> Result<bool, BusError> {
    #[derive(Deserialize)]
    struct Info {
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Config {
        num_replicas: usize,
    }
    let answer = link
        .request(
            &format!("$JS.API.STREAM.INFO.{}", stream()),
            None,
            "".into(),
        )
        .await?;
    let info: Info = wire::parse("jar", &answer)?;
    Ok(info.config.is_some_and(|config| config.num_replicas > 1))
}

fn keep(temporary: tempfile::NamedTempFile, file: &PathBuf) -> Result<(), BusError> {
    temporary.persist(file).map_err(|error| {
        BusError::Io(format!("{} cannot be written", file.display()), error.error)
    })?;
    Ok(())
}

/// The digest and size of a file.
pub(crate) fn hash(file: &Path) -> Result<(Digest, u64), BusError> {
    let failed = |error| BusError::Io(format!("{} cannot be read", file.display()), error);
    let mut reader = std::fs::File::open(file).map_err(failed)?;
    let mut hasher = Sha256::new();
    let size = std::io::copy(&mut reader, &mut hasher).map_err(failed)?;
    Ok((Digest::from_hash(hasher.finalize().into()), size))
}

fn read_chunk(file: &Path, index: u64) -> Result<Bytes, BusError> {
    use std::io::{Seek, SeekFrom};
    let failed = |error| BusError::Io(format!("{} cannot be read", file.display()), error);
    let mut reader = std::fs::File::open(file).map_err(failed)?;
    reader
        .seek(SeekFrom::Start(index * CHUNK as u64))
        .map_err(failed)?;
    let mut chunk = Vec::with_capacity(CHUNK);
    reader
        .take(CHUNK as u64)
        .read_to_end(&mut chunk)
        .map_err(failed)?;
    Ok(chunk.into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(BusError::Unavailable(format!(
                "the work on a file ended: {error}"
            )))
        })
}
