//! Signed addresses of jars: HMAC-SHA256 over all that a grant says, with a key that is made at the start
//! of the process and never leaves it.

use ferry_events::{Digest, PlanId};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

/// What an address lets a base do: fetch one jar, for one task under one plan, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The task.
    pub task: Uuid,
    /// The request id of the installation.
    pub request: Uuid,
    /// Its plan, which must be in force when the jar is fetched.
    pub plan: PlanId,
    /// The base.
    pub base: String,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// Until when: seconds since 1970.
    pub expires: i64,
}

/// Signs and checks. `Debug` shows no key.
pub struct Signer {
    key: [u8; 32],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(hidden)")
    }
}

impl Default for Signer {
    /// A fresh key: two random UUIDs hold 244 bits from the system's generator.
    #[allow(
        clippy::disallowed_methods,
        reason = "a key must not be derivable; it is no id"
    )]
    fn default() -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { key }
    }
}

impl Signer {
    fn mac(&self, jar: &Digest, grant: &Grant) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        // JSON keeps the parts apart: no two grants give the same bytes.
        let signed = serde_json::to_vec(&(jar, grant)).expect("a grant is always JSON");
        mac.update(&signed);
        mac
    }

    /// The address of a jar below `base`. Its path ends in `.jar`, as some class loaders want it.
    pub fn url(&self, base: &Url, jar: &Digest, grant: &Grant) -> Url {
        let mut url = base.clone();
        url.set_path(&format!(
            "{}/artifacts/{jar}.jar",
            base.path().trim_end_matches('/')
        ));
        url.query_pairs_mut()
            .clear()
            .append_pair("task", &grant.task.to_string())
            .append_pair("request", &grant.request.to_string())
            .append_pair("plan", grant.plan.as_str())
            .append_pair("base", &grant.base)
            .append_pair("module", &grant.module)
            .append_pair("environment", &grant.environment)
            .append_pair("expires", &grant.expires.to_string())
            .append_pair(
                "signature",
                &hex::encode(self.mac(jar, grant).finalize().into_bytes()),
            );
        url
    }

    /// Whether a signature is ours, compared in constant time.
    pub fn is_ours(&self, jar: &Digest, grant: &Grant, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|bytes| self.mac(jar, grant).verify_slice(&bytes).is_ok())
    }
}
