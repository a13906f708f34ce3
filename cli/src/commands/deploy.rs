//! `ferry deploy MODULE --jar F`. In: a jar that was built elsewhere. Out: the run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ferry_api::{Client, CommandAnswer, DeployQuery};
use futures::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::Json;
use super::asked::Wait;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::gateway::GatewayArgs;
use crate::output::Output;

/// Bytes that are read at a time: few enough for a bar that moves.
const CHUNK: usize = 64 << 10;

/// Arguments of `ferry deploy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry deploy hello --jar target/hello-ark-biz.jar --commit $(git rev-parse HEAD) --wait"
)]
pub struct Args {
    /// The module
    module: String,
    /// The ark-biz jar
    #[arg(long, value_name = "FILE")]
    jar: PathBuf,
    /// The commit that it was built from
    #[arg(long, value_name = "C")]
    commit: Option<String>,
    /// Why, in your words; kept with the run
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Let it go where the same artifact failed before; needs --why
    #[arg(long, requires = "why")]
    force: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let query = DeployQuery {
        commit: args.commit,
        force: args.force,
        why: args.why,
    };
    let answer = upload(&client, &args.module, &args.jar, &query).await?;
    args.wait
        .after(&client, answer, Output::new(args.json.json))
        .await
}

async fn upload(
    client: &Client,
    module: &str,
    jar: &Path,
    query: &DeployQuery,
) -> Result<CommandAnswer> {
    let unreadable = |error: std::io::Error| {
        Stopped::new(
            Exit::NotFound,
            format!("{} cannot be read: {error}", jar.display()),
        )
        .next("name the *-ark-biz.jar that the build made")
    };
    let file = File::open(jar).await.map_err(unreadable)?;
    let found = file.metadata().await.map_err(unreadable)?;
    if !found.is_file() || found.len() == 0 {
        let what = format!("{} is no jar: it is empty or no file", jar.display());
        return Err(Stopped::new(Exit::Usage, what).into());
    }
    let size = found.len();
    // Drawn on stderr, and only on a terminal.
    let bar = ProgressBar::new(size).with_style(
        ProgressStyle::with_template(
            "uploading {bar:32} {bytes} of {total_bytes}, {bytes_per_sec}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    // `take`: a file that grows meanwhile must not be sent longer than was said.
    let count = bar.clone();
    let chunks = ReaderStream::with_capacity(file.take(size), CHUNK)
        .inspect_ok(move |chunk| count.inc(chunk.len() as u64));
    let body = reqwest::Body::wrap_stream(chunks);
    let answer = client.deploy(module, body, size, query).await;
    bar.finish_and_clear();
    Ok(answer?)
}
