//! Jars that were put in part, or damaged where they lie.
//!
//! In: chunks and descriptions. Out: whole jars or an error, never a wrong file.

use anyhow::Result;
use async_nats::{Client, HeaderMap, jetstream};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use ferry_bus::{Bus, BusError, CHUNK, StreamLimits, User};
use ferry_events::{Digest, Service};

use crate::{BUILDER, raw, real::Nats};

fn jar_bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 % 251) as u8).collect()
}

async fn put_chunk(client: &Client, digest: &Digest, index: u64, bytes: &[u8]) -> Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("Ferry-Chunk", index.to_string().as_str());
    let subject = format!("$O.FERRY_ARTIFACTS.C.{digest}-{CHUNK}");
    client
        .request_with_headers(subject, headers, Bytes::copy_from_slice(bytes))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_put_goes_on_where_another_ended() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let folder = tempfile::tempdir()?;
    let (source, target) = (
        folder.path().join("source.jar"),
        folder.path().join("target.jar"),
    );
    let bytes = jar_bytes(4 * CHUNK + 5);
    let digest = Digest::of(&bytes);
    std::fs::write(&source, &bytes)?;
    // Someone died after two chunks: there is no jar yet.
    let client = raw(&nats, BUILDER).await?;
    for index in 0..2 {
        put_chunk(
            &client,
            &digest,
            index as u64,
            &bytes[index * CHUNK..(index + 1) * CHUNK],
        )
        .await?;
    }
    let slimmer = nats.connect(User::Service(Service::Slimmer)).await?;
    let error = slimmer
        .get_jar(&digest, &target)
        .await
        .expect_err("it is not whole");
    assert!(matches!(error, BusError::Missing(_)), "{error:?}");
    // Three at a time go on from there and leave no chunk too many.
    let (one, two, three) = (
        nats.connect(BUILDER).await?,
        nats.connect(BUILDER).await?,
        nats.connect(BUILDER).await?,
    );
    let (one, two, three) = tokio::join!(
        one.put_jar(&digest, &source),
        two.put_jar(&digest, &source),
        three.put_jar(&digest, &source)
    );
    one.and(two).and(three)?;
    slimmer.get_jar(&digest, &target).await?;
    assert!(std::fs::read(&target)? == bytes);
    let context = jetstream::new(raw(&nats, User::Operator).await?);
    let stored = context
        .get_stream("OBJ_FERRY_ARTIFACTS")
        .await?
        .cached_info()
        .state
        .messages;
    assert_eq!(stored, 6, "five chunks and their description");
    // Every NATS tool reads it: this is the client's own object store.
    let object = context
        .get_object_store("FERRY_ARTIFACTS")
        .await?
        .info(digest.as_str())
        .await?;
    assert_eq!(
        (object.size, object.chunks, object.bucket.as_str()),
        (bytes.len(), 5, "FERRY_ARTIFACTS")
    );
    Ok(())
}

#[tokio::test]
async fn a_damaged_jar_is_never_handed_out() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let folder = tempfile::tempdir()?;
    let target = folder.path().join("target.jar");
    let client = raw(&nats, BUILDER).await?;
    let slimmer = nats.connect(User::Service(Service::Slimmer)).await?;
    let bytes = jar_bytes(CHUNK + 5);
    for (name, second) in [("changed", Some(&b"other"[..])), ("cut short", None)] {
        let digest = Digest::of(&[name.as_bytes(), &bytes].concat());
        put_chunk(&client, &digest, 0, &bytes[..CHUNK]).await?;
        if let Some(second) = second {
            put_chunk(&client, &digest, 1, second).await?;
        }
        let meta = serde_json::json!({
            "name": digest, "bucket": "FERRY_ARTIFACTS", "nuid": format!("{digest}-{CHUNK}"),
            "size": bytes.len(), "chunks": 2, "digest": "SHA-256=",
        });
        let subject = format!(
            "$O.FERRY_ARTIFACTS.M.{}",
            BASE64_URL_SAFE.encode(digest.as_str())
        );
        client.request(subject, meta.to_string().into()).await?;
        let error = slimmer.get_jar(&digest, &target).await.expect_err(name);
        assert!(matches!(error, BusError::Damaged(_)), "{name}: {error:?}");
    }
    assert_eq!(
        std::fs::read_dir(&folder)?.count(),
        0,
        "neither the jar nor a part of it"
    );
    Ok(())
}
