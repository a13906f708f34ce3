//! Fetches and opens a module's jar, as `new URL(..).openStream()` and
//! sofa-ark's `createBiz` do. Goes in: an address, and the version that was asked for. Comes out: the module's
//! manifest and behaviour, or the Java exception with its very words.

use std::io::{Cursor, Read};
use std::time::Duration;

use ferry_ark::{ArkManifest, MANIFEST_PATH, Manifest, ManifestError, manifest::keys};
use ferry_web::Ask;
use url::Url;
use zip::ZipArchive;

use crate::base::Base;
use crate::jar::{BEHAVIOUR_PATH, Behaviour};
use crate::java::Throwable;

/// A module's jar after it was opened.
pub(crate) struct Opened {
    pub(crate) ark: ArkManifest,
    /// As written; a base reports it so.
    pub(crate) web_context_path: Option<String>,
    pub(crate) behaviour: Behaviour,
    pub(crate) has_main_class: bool,
}

/// Java has no limit: this is none, either.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Downloads without a time-out, as Java does.
pub(crate) async fn open_url(
    base: &Base,
    address: &str,
    version: &str,
) -> Result<Opened, Throwable> {
    // In place: the jars of a fake base are small, and a simulation has one thread.
    open(&read(base, address, version).await?)
}

async fn read(base: &Base, address: &str, version: &str) -> Result<Vec<u8>, Throwable> {
    let malformed = |what: String| Throwable::new("java.net.MalformedURLException", what);
    let url = Url::parse(address).map_err(|_| malformed(format!("no protocol: {address}")))?;
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| malformed(format!("no local path: {address}")))?;
            std::fs::read(&path).map_err(|error| {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
                    std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
                    _ => error.to_string(),
                };
                Throwable::new(
                    "java.io.FileNotFoundException",
                    format!("{} ({why})", path.display()),
                )
            })
        }
        "http" | "https" => {
            let ask = Ask {
                url,
                json: None,
                headers: Default::default(),
                timeout: FOR_EVER,
                body_max: usize::MAX,
            };
            let answer = base.web.ask(ask).await.map_err(|why| {
                if why.to_string().contains("refused") {
                    Throwable::new("java.net.ConnectException", "Connection refused")
                } else {
                    Throwable::new(
                        "java.net.SocketException",
                        "Unexpected end of file from server",
                    )
                }
            })?;
            match answer.status {
                404 | 410 => Err(Throwable::new("java.io.FileNotFoundException", address)),
                status @ 400.. => {
                    let what =
                        format!("Server returned HTTP response code: {status} for URL: {address}");
                    Err(Throwable::new("java.io.IOException", what))
                }
                _ => {
                    base.faults
                        .released(version, |faults| &faults.hold_download)
                        .await;
                    Ok(answer.body)
                }
            }
        }
        other => Err(malformed(format!("unknown protocol: {other}"))),
    }
}

fn open(bytes: &[u8]) -> Result<Opened, Throwable> {
    let not_a_zip = || Throwable::new("java.util.zip.ZipException", "zip END header not found");
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| not_a_zip())?;
    let refused = |what: &str| Throwable::new("java.lang.IllegalArgumentException", what);
    // A jar without a manifest has no name either.
    let manifest = entry(&mut zip, MANIFEST_PATH)
        .map_or_else(|| Ok(Manifest::new()), |bytes| Manifest::parse(&bytes))
        .and_then(|manifest| manifest.ark().map(|ark| (manifest, ark)));
    let (manifest, ark) = manifest.map_err(|error| match error {
        ManifestError::NoVersion => refused("Biz Version must not be empty!"),
        ManifestError::NoMainClass => refused("Biz Main Class must not be empty!"),
        ManifestError::BadPriority { found } => Throwable::new(
            "java.lang.NumberFormatException",
            format!("For input string: \"{found}\""),
        ),
        ManifestError::NotAManifest { line, .. } => Throwable::new(
            "java.io.IOException",
            format!("invalid header field (line {line})"),
        ),
        _ => refused("Biz Name must not be empty!"),
    })?;
    let behaviour = match entry(&mut zip, BEHAVIOUR_PATH) {
        None => Behaviour::default(),
        Some(json) => serde_json::from_slice(&json)
            .map_err(|error| refused(&format!("{BEHAVIOUR_PATH} is not valid: {error}")))?,
    };
    let class = format!("{}.class", ark.main_class.replace('.', "/"));
    let has_main_class = zip.index_for_name(&class).is_some() || in_libraries(&mut zip, &class);
    Ok(Opened {
        web_context_path: manifest.get(keys::WEB_CONTEXT_PATH).map(str::to_owned),
        ark,
        behaviour,
        has_main_class,
    })
}

fn entry(zip: &mut ZipArchive<Cursor<&[u8]>>, path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    zip.by_name(path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn in_libraries(zip: &mut ZipArchive<Cursor<&[u8]>>, class: &str) -> bool {
    let libraries: Vec<String> = zip
        .file_names()
        .filter(|path| path.starts_with("lib/") && path.ends_with(".jar"))
        .map(str::to_owned)
        .collect();
    libraries.iter().any(|path| {
        entry(zip, path)
            .and_then(|bytes| ZipArchive::new(Cursor::new(bytes)).ok())
            .is_some_and(|library| library.index_for_name(class).is_some())
    })
}
