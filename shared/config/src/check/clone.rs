//! From where git may clone. In: an address, and `builder.allow_clone`.
//! Out: nothing, or why not. The builder asks the same before each fetch.

use url::Url;

/// The schemes that may be allowed as a whole.
const CLONE_SCHEMES: [&str; 5] = ["https", "ssh", "http", "git", "file"];

/// Checks one entry of `builder.allow_clone`.
pub(super) fn clone_rule(text: &str) -> Result<(), String> {
    if CLONE_SCHEMES.contains(&text) {
        return Ok(());
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    // Without the slash, `https://git.example` would allow `https://git.example.evil`.
    if scheme.is_some_and(|scheme| CLONE_SCHEMES.contains(&scheme)) && text.ends_with('/') {
        return Ok(());
    }
    Err(format!(
        "{text:?} is neither a scheme ({}) nor the beginning of an address with \"/\" at its end, such as \"file:///srv/git/\"",
        CLONE_SCHEMES.join(", ")
    ))
}

/// Why git may not clone from an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloneUrlError {
    /// Git would or could take it for something else than an address.
    #[error(
        "{0:?} is not a clone address such as \"https://git.example/acme/hello.git\" or \"git@git.example:acme/hello.git\""
    )]
    NotAnAddress(String),
    /// It holds a password or token. The address is not repeated.
    #[error(
        "a clone address must not hold a password or token; put it in a file and name that in \"credentials\""
    )]
    Password,
    /// It points up in a path.
    #[error("{0:?} must not point up with \"..\"")]
    PointsUp(String),
    /// Its scheme or beginning is not allowed.
    #[error("{url:?} is not allowed by builder.allow_clone, which has: {allowed}")]
    NotAllowed {
        /// The address.
        url: String,
        /// What is allowed.
        allowed: String,
    },
}

/// Checks an address before git sees it: plain, without a secret, and allowed by
/// `builder.allow_clone`. Addresses as `git@host:path` count as `ssh`.
///
/// # Errors
/// When git must not clone from it.
pub fn check_clone_url(url: &str, allow: &[String]) -> Result<(), CloneUrlError> {
    let not_an_address = || CloneUrlError::NotAnAddress(url.to_owned());
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if url.is_empty() || url.starts_with('-') || url.contains("::") || url.contains(odd) {
        return Err(not_an_address());
    }
    let path = match url.split_once("://") {
        Some((scheme, _)) => {
            // git knows a scheme only in lower case.
            if !CLONE_SCHEMES.contains(&scheme) {
                return Err(not_an_address());
            }
            let parsed = Url::parse(url).map_err(|_| not_an_address())?;
            if parsed.password().is_some() || (scheme != "ssh" && !parsed.username().is_empty()) {
                return Err(CloneUrlError::Password);
            }
            // ssh takes a host or user that begins with a dash for an option.
            if parsed.host_str().unwrap_or("").starts_with('-')
                || parsed.username().starts_with('-')
            {
                return Err(not_an_address());
            }
            // `https:///x` is a host for a browser and none for git.
            let no_host = !parsed.has_host() || url.contains(":///");
            if scheme != "file" && no_host {
                return Err(not_an_address());
            }
            url
        }
        None => scp_path(url).ok_or_else(not_an_address)?,
    };
    let dots = path.to_ascii_lowercase().replace("%2e", ".");
    if dots.split(['/', '\\']).any(|part| part == "..") {
        return Err(CloneUrlError::PointsUp(url.to_owned()));
    }
    let scheme = url.split_once("://").map_or("ssh", |(scheme, _)| scheme);
    let allowed = |rule: &String| {
        if rule.contains("://") {
            url.starts_with(rule.as_str())
        } else {
            rule == scheme
        }
    };
    if allow.iter().any(allowed) {
        return Ok(());
    }
    let allowed = if allow.is_empty() {
        "nothing".to_owned()
    } else {
        allow.join(", ")
    };
    Err(CloneUrlError::NotAllowed {
        url: url.to_owned(),
        allowed,
    })
}

/// The path of `user@host:path`. The user is required: without it the text
/// could as well be a folder, and a Windows drive.
fn scp_path(url: &str) -> Option<&str> {
    let (authority, path) = url.split_once(':')?;
    let (user, host) = authority.split_once('@')?;
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    (plain(user) && plain(host) && !path.is_empty() && !path.starts_with('-')).then_some(path)
}
