//! From where git may fetch, and with which name it logs in.
//!
//! In: a repository's configuration. Out: an [`Address`], or the reason why git never sees it. It is
//! checked here again, although `ferry config check` did: what stands on the bus may be older.

use ferry_config::{Builder, Forge, Repository, check_clone_url};
use ferry_events::{Reason, Stop};

/// An address that git may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As configured.
    pub url: String,
    /// The only protocol that git may speak for it, as in `protocol.<name>.allow`.
    pub protocol: String,
    /// The user's name for a token over HTTP.
    pub user: &'static str,
}

/// Checks a repository's address.
///
/// # Errors
/// `clone-refused`, with what is wrong.
pub fn check(repository: &Repository, builder: &Builder) -> Result<Address, Stop> {
    let url = repository.url.as_str();
    check_clone_url(url, &builder.allow_clone)
        .map_err(|error| Stop::new(Reason::CloneRefused, error.to_string()))?;
    let protocol = url.split_once("://").map_or("ssh", |(scheme, _)| scheme);
    let user = match repository.forge {
        Forge::Github => "x-access-token",
        Forge::Gitlab | Forge::Gitea | Forge::Forgejo => "oauth2",
        Forge::Bitbucket | Forge::BitbucketDc => "x-token-auth",
    };
    Ok(Address {
        url: url.to_owned(),
        protocol: protocol.to_owned(),
        user,
    })
}

/// Whether git takes a name for a branch and a refspec takes it for nothing else. After
/// `git check-ref-format`; a leading dash or a `$(…)` is allowed, because names go as full refs.
pub fn is_branch(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !name.is_empty()
        && name != "@"
        && name.len() <= 1024
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(odd)
        && name.split('/').all(part)
}

/// Whether a text can be the id of an object: 40 or 64 hexadecimal digits.
pub fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(url: &str) -> Repository {
        let text = "url = \"\"\nforge = \"gitlab\"\nsecret = \"env:HOOK\"";
        Repository {
            url: url.to_owned(),
            ..toml::from_str(text).expect("a repository")
        }
    }

    fn checked(url: &str, allow: &[&str]) -> Result<Address, Stop> {
        let builder = Builder {
            allow_clone: allow.iter().map(|rule| (*rule).to_owned()).collect(),
            ..Builder::default()
        };
        check(&repository(url), &builder)
    }

    #[test]
    fn allowed_addresses_name_their_one_protocol() {
        for (url, protocol) in [
            ("https://git.example/acme/shop.git", "https"),
            ("ssh://git@git.example:2222/acme/shop.git", "ssh"),
            ("git@git.example:acme/shop.git", "ssh"),
        ] {
            let address = checked(url, &["https", "ssh"]).unwrap();
            assert_eq!(
                (address.protocol.as_str(), address.url.as_str()),
                (protocol, url)
            );
        }
        assert_eq!(
            checked("file:///srv/git/shop.git", &["file:///srv/git/"])
                .unwrap()
                .protocol,
            "file"
        );
    }

    #[test]
    fn what_git_could_take_for_something_else_is_refused() {
        for url in [
            "ext::sh -c touch% /tmp/x",
            "ext::https://git.example/x",
            "--upload-pack=touch /tmp/x",
            "-oProxyCommand=x:y",
            "git@-oProxyCommand=x:shop.git",
            "ssh://-oProxyCommand=x/shop.git",
            "https://git.example/a\nb",
            "https://git.example/a\u{0}b",
            "https://git.example/../../etc",
            "https://user:secret@git.example/x",
            "/srv/git/shop.git",
            "file:///srv/git/shop.git",
            "http://git.example/x",
            "git://git.example/x",
            "fd::17/x",
            "",
        ] {
            let stop = checked(url, &["https", "ssh"]).expect_err(url);
            assert_eq!(stop.reason, Reason::CloneRefused);
            assert!(!stop.detail.contains("secret@"), "{}", stop.detail);
        }
        assert!(checked("file:///srv/gits/x", &["file:///srv/git/"]).is_err());
    }

    #[test]
    fn branches_are_what_git_takes_for_one() {
        for good in [
            "main",
            "feature/login",
            "--upload-pack=x",
            "$(x)",
            "`x`",
            "a;b",
            "ünï",
            "HEAD",
            "-",
        ] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "a:b", "a b", "a..b", "*", "a^", "a~1", "/a", "a/", "a//b", ".a", "a/.b", "a.lock",
            "a.", "@", "a@{1}", "a\\b", "a\nb", "[a", "a?",
        ] {
            assert!(!is_branch(bad), "{bad}");
        }
        assert!(is_object_id(&"a1".repeat(20)) && is_object_id(&"0".repeat(64)));
        assert!(!is_object_id("--all") && !is_object_id("a1b2") && !is_object_id(&"g".repeat(40)));
    }
}
