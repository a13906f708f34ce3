//! The smallest useful `ferry.toml`, for `ferry init`.
//! In: a module's name and its repository's address. Out: the text.

use crate::check::{CloneUrlError, check_clone_url};
use crate::model::Builder;
use crate::text::{NAME_PATTERN, is_name};

/// Why the smallest file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The module's name is none.
    #[error("{0:?} is not a name for a module ({NAME_PATTERN})")]
    Name(String),
    /// The repository's address is none.
    #[error(transparent)]
    Url(#[from] CloneUrlError),
}

/// The text of a `ferry.toml` that carries one module from one repository to one
/// base on this machine.
///
/// # Errors
/// When the name is no name, or the address none that may be cloned.
pub fn init_text(module: &str, url: &str) -> Result<String, InitError> {
    if !is_name(module) {
        return Err(InitError::Name(module.to_owned()));
    }
    check_clone_url(url, &Builder::default().allow_clone)?;
    let url = toml::Value::from(url);
    Ok(format!(
        r#"# Ferry: from a git push to a running base. Check with `ferry config check`.
[repositories.{module}]
url = {url}
forge = "github"                  # or gitlab, gitea, forgejo, bitbucket, bitbucket-dc
secret = "file:secrets/{module}"  # the webhook's secret, in a file beside this one
[modules.{module}]
repository = "{module}"
[environments.prod]
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1238"  # where arklet listens
url = "http://127.0.0.1:8080"     # where its modules answer
"#
    ))
}
