//! A request's headers as the readers of webhooks want them: names in lower
//! case, values as text, empty ones as missing.
//!
//! In: name and value pairs. Out: look-ups, and whose headers these are.

use std::collections::BTreeMap;

use ferry_config::Forge;

use super::Wire as _;

/// Headers of one request. Values that are not UTF-8 are left out; of a
/// repeated header the first counts.
#[derive(Clone, Debug, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Collects them.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            if let Ok(value) = std::str::from_utf8(value.as_ref()) {
                headers
                    .entry(name.as_ref().to_ascii_lowercase())
                    .or_insert_with(|| value.trim().to_owned());
            }
        }
        Self(headers)
    }

    /// The value, if the header is there and not empty. Gitea without a secret
    /// sends its signature headers empty: they are as good as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(&name.to_ascii_lowercase())
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// Whose headers these are. Forgejo also sends Gitea's and GitHub's, and
    /// Gitea also sends GitHub's: so the most special is asked for first.
    #[must_use]
    pub fn sent_by(&self) -> Option<Forge> {
        let named = [Forge::Forgejo, Forge::Gitea, Forge::Gitlab];
        if let Some(forge) = named
            .into_iter()
            .find(|f| self.get(f.event_header()).is_some())
        {
            return Some(forge);
        }
        if let Some(key) = self.get(Forge::Bitbucket.event_header()) {
            return self.bitbucket(key);
        }
        self.get(Forge::Github.event_header())
            .map(|_| Forge::Github)
    }

    // The two Bitbuckets share the event header. A proxy may add X-Request-Id
    // to anything, so that one proves nothing.
    fn bitbucket(&self, key: &str) -> Option<Forge> {
        let of_dc = ["repo:refs_changed", "diagnostics:ping"].contains(&key)
            || key.starts_with("mirror:")
            || key.starts_with("pr:");
        if of_dc {
            return Some(Forge::BitbucketDc);
        }
        let of_cloud = key == "repo:push" || key.starts_with("pullrequest:");
        (of_cloud || self.get("X-Request-UUID").is_some()).then_some(Forge::Bitbucket)
    }
}
