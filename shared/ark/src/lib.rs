//! What a base understands. Goes in: the bytes of a manifest, the JSON of an
//! arklet reply. Comes out: typed views of them, and the requests to send.
//! No sockets and no files here: who calls does the I/O.

pub mod arklet;
pub mod manifest;
pub mod state;

pub use arklet::root_cause;
pub use manifest::{ArkManifest, Manifest, ManifestError};
pub use state::BizState;

/// Where the manifest lies in every jar.
pub const MANIFEST_PATH: &str = "META-INF/MANIFEST.MF";
