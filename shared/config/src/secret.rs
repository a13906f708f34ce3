//! Secrets by reference: `file:PATH` or `env:NAME`.
//! In: the reference as written. Out: the reference (safe to show), and, for
//! the one service that owns it, the [`Secret`] itself (never shown).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret is. Showing it shows the place, never the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "secret-reference", "pattern" = "^(file|env):."))]
pub enum SecretRef {
    /// In this file; absolute after loading.
    File(PathBuf),
    /// In this environment variable of the service that needs it.
    Env(String),
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        if let Some(name) = text.strip_prefix("env:")
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Ok(Self::Env(name.to_owned()));
        }
        Err(SecretError::NotAReference)
    }
}

impl TryFrom<String> for SecretRef {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl SecretRef {
    /// Gets the secret. A relative path is taken below `root`. One newline at
    /// the end is taken off, because editors put it there.
    ///
    /// # Errors
    /// When the file or variable cannot be read, or holds nothing.
    pub fn resolve(&self, root: &Path) -> Result<Secret, SecretError> {
        let mut bytes = match self {
            Self::File(path) => {
                let path = root.join(path);
                std::fs::read(&path).map_err(|source| SecretError::Unreadable { path, source })?
            }
            Self::Env(name) => std::env::var_os(name)
                .ok_or_else(|| SecretError::NoVariable(name.clone()))?
                .into_encoded_bytes(),
        };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(Secret(bytes))
    }
}

/// A secret. It has no `Display` and no `Serialize`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps bytes that were got another way.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The secret's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text; `None` when it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Why a secret cannot be had. None of these shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is something else than a reference, perhaps the secret itself.
    #[error(
        "a secret is written as a reference, \"file:PATH\" or \"env:NAME\"; what stands here is neither (a secret itself never belongs in this file)"
    )]
    NotAReference,
    /// The file cannot be read.
    #[error("the secret's file {path:?} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// There is nothing in it.
    #[error("the secret {0} is empty")]
    Empty(SecretRef),
}
