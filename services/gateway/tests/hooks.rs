//! Webhooks of all six forges, read from bodies as they are sent, signed here:
//! what each fixture is read as, and what is refused.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use common::fixture;
use common::forge::*;
use ferry_config::Forge;
use ferry_gateway::decide::forge::{Change, Headers, HookError, look};

macro_rules! golden {
    ($($test:ident: $forge:ident, $event:literal, $fixture:literal;)*) => {$(
        #[test]
        fn $test() {
            let delivery = read(Forge::$forge, $event, &fixture($fixture)).unwrap();
            insta::assert_debug_snapshot!(delivery);
        }
    )*};
}

golden! {
    github_push: Github, "push", "github-push";
    github_forced: Github, "push", "github-forced";
    github_created: Github, "push", "github-created";
    github_deleted: Github, "push", "github-deleted";
    github_tag: Github, "push", "github-tag";
    github_unchanged: Github, "push", "github-unchanged";
    github_odd_branch: Github, "push", "github-odd-branch";
    github_ping: Github, "ping", "github-ping";
    github_ping_organization: Github, "ping", "github-ping-organization";
    github_lookalike: Github, "cache_sync", "github-push";
    gitlab_push: Gitlab, "Push Hook", "gitlab-push";
    gitlab_cut: Gitlab, "Push Hook", "gitlab-cut";
    gitlab_deleted: Gitlab, "Push Hook", "gitlab-deleted";
    gitlab_tag: Gitlab, "Tag Push Hook", "gitlab-tag";
    gitlab_system: Gitlab, "System Hook", "gitlab-system";
    gitea_push: Gitea, "push", "gitea-push";
    gitea_cut: Gitea, "push", "gitea-cut";
    gitea_created: Gitea, "push", "gitea-created";
    gitea_delete: Gitea, "delete", "gitea-delete";
    forgejo_push: Forgejo, "push", "forgejo-push";
    bitbucket_push: Bitbucket, "repo:push", "bitbucket-push";
    bitbucket_several: Bitbucket, "repo:push", "bitbucket-several";
    bitbucket_empty: Bitbucket, "repo:push", "bitbucket-empty";
    bitbucket_dc_push: BitbucketDc, "repo:refs_changed", "bitbucket-dc-push";
    bitbucket_dc_old: BitbucketDc, "repo:refs_changed", "bitbucket-dc-old";
    bitbucket_dc_ping: BitbucketDc, "diagnostics:ping", "bitbucket-dc-ping";
    bitbucket_dc_mirror: BitbucketDc, "mirror:repo_synchronized", "bitbucket-dc-mirror";
}

#[test]
fn the_repository_is_known_before_the_signature() {
    for forge in Forge::ALL {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let headers = Headers::new(headers(forge, event_of(forge), &body));
        let full_name = if forge == Forge::BitbucketDc {
            "ACME/hello"
        } else {
            "acme/hello"
        };
        assert_eq!(
            look(forge, &headers, &body).unwrap().repository(),
            Some(full_name)
        );
    }
}

#[test]
fn another_secret_or_none_never_verifies() {
    for forge in Forge::ALL {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let sent = headers(forge, event_of(forge), &body);
        let wrong = HookError::WrongSignature { forge };
        assert_eq!(
            read_with(forge, sent.clone(), &body, b"another").unwrap_err(),
            wrong
        );
        assert_eq!(read_with(forge, sent, &body, b"").unwrap_err(), wrong);
    }
}

#[test]
fn an_empty_secret_verifies_not_even_its_own_signature() {
    for forge in Forge::ALL {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let hex = hex::encode(mac(b"", &body));
        let mut sent = headers(forge, event_of(forge), &body);
        for name in ["X-Hub-Signature-256", "X-Hub-Signature"] {
            sent = with(sent, name, &format!("sha256={hex}"));
        }
        for name in ["X-Gitea-Signature", "X-Forgejo-Signature"] {
            sent = with(sent, name, &hex);
        }
        sent = with(sent, "X-Gitlab-Token", "");
        let wrong = HookError::WrongSignature { forge };
        // Gitea's and Forgejo's paths refuse each other's headers first.
        let sent = match forge {
            Forge::Forgejo | Forge::Gitea => sent,
            _ => without(without(sent, "X-Gitea-Signature"), "X-Forgejo-Signature"),
        };
        assert_eq!(read_with(forge, sent, &body, b"").unwrap_err(), wrong);
    }
}

#[test]
fn a_missing_or_empty_signature_is_unsigned() {
    let own = [
        (Forge::Github, "X-Hub-Signature-256"),
        (Forge::Gitlab, "X-Gitlab-Token"),
        (Forge::Gitea, "X-Gitea-Signature"),
        (Forge::Forgejo, "X-Forgejo-Signature"),
        (Forge::Bitbucket, "X-Hub-Signature"),
        (Forge::BitbucketDc, "X-Hub-Signature"),
    ];
    for (forge, header) in own {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let sent = headers(forge, event_of(forge), &body);
        let unsigned = HookError::Unsigned { forge };
        assert!(unsigned.is_unauthorized());
        let missing = without(sent.clone(), header);
        assert_eq!(
            read_with(forge, missing, &body, SECRET).unwrap_err(),
            unsigned
        );
        let empty = with(sent, header, "");
        assert_eq!(
            read_with(forge, empty, &body, SECRET).unwrap_err(),
            unsigned
        );
    }
}

#[test]
fn sha1_alone_is_not_enough() {
    let body = fixture("github-push");
    let sent = without(headers(Forge::Github, "push", &body), "X-Hub-Signature-256");
    let sent = with(
        sent,
        "X-Hub-Signature",
        "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6",
    );
    let error = read_with(Forge::Github, sent, &body, SECRET).unwrap_err();
    assert_eq!(
        error,
        HookError::Unsigned {
            forge: Forge::Github
        }
    );
}

#[test]
fn the_same_forge_on_the_wrong_path_is_told_the_right_one() {
    for sender in Forge::ALL {
        let body = fixture(&format!("{}-push", sender.as_str()));
        for path in Forge::ALL.into_iter().filter(|path| *path != sender) {
            let sent = headers(sender, event_of(sender), &body);
            let error = read_with(path, sent, &body, SECRET).unwrap_err();
            assert_eq!(
                error,
                HookError::WrongPath {
                    sent_by: sender,
                    path
                }
            );
            assert!(
                error
                    .to_string()
                    .ends_with(&format!("/hooks/{}", sender.as_str()))
            );
        }
    }
}

#[test]
fn a_delivery_without_id_is_refused_once_it_is_believed() {
    for (forge, header) in [
        (Forge::Github, "X-GitHub-Delivery"),
        (Forge::Gitea, "X-Gitea-Delivery"),
        (Forge::Forgejo, "X-Forgejo-Delivery"),
        (Forge::Bitbucket, "X-Request-UUID"),
        (Forge::BitbucketDc, "X-Request-Id"),
    ] {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let sent = without(headers(forge, event_of(forge), &body), header);
        let error = read_with(forge, sent.clone(), &body, SECRET).unwrap_err();
        assert_eq!(error, HookError::NoDeliveryId { forge });
        assert!(
            read_with(forge, sent, &body, b"another")
                .unwrap_err()
                .is_unauthorized()
        );
    }
}

#[test]
fn an_old_gitlab_is_recognised_by_event_and_body() {
    let body = fixture("gitlab-push");
    let old = without(
        headers(Forge::Gitlab, "Push Hook", &body),
        "Idempotency-Key",
    );
    let id = |sent| {
        read_with(Forge::Gitlab, sent, &body, SECRET)
            .unwrap()
            .delivery_id
    };
    assert_eq!(id(old.clone()), id(old.clone()));
    assert_ne!(
        id(old.clone()),
        id(with(old.clone(), "X-Gitlab-Event-UUID", "another"))
    );
    let error = read_with(
        Forge::Gitlab,
        without(old, "X-Gitlab-Event-UUID"),
        &body,
        SECRET,
    );
    assert_eq!(
        error.unwrap_err(),
        HookError::NoDeliveryId {
            forge: Forge::Gitlab
        }
    );
}

#[test]
fn gitlabs_signing_key_is_checked_with_its_time() {
    let body = fixture("gitlab-push");
    let key = b"a key of twenty-four byt";
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let check = |sent| read_with(Forge::Gitlab, sent, &body, secret.as_bytes());

    assert!(check(standard(&body, key, now())).is_ok());
    assert!(check(standard(&body, key, now() - TimeDelta::seconds(300))).is_ok());
    assert!(check(standard(&body, key, now() + TimeDelta::seconds(300))).is_ok());
    let stale = Err(HookError::Stale);
    assert_eq!(
        check(standard(&body, key, now() - TimeDelta::seconds(301))),
        stale
    );
    assert_eq!(
        check(standard(&body, key, now() + TimeDelta::seconds(301))),
        stale
    );
    let wrong = Err(HookError::WrongSignature {
        forge: Forge::Gitlab,
    });
    assert_eq!(check(standard(&body, b"another", now())), wrong);

    // An old key beside the new one, and the plain token beside both.
    let sent = standard(&body, key, now());
    let good = &sent
        .iter()
        .find(|(name, _)| name == "webhook-signature")
        .unwrap()
        .1;
    let both = with(
        sent.clone(),
        "webhook-signature",
        &format!("v1,AAAA v2,x {good}"),
    );
    assert!(check(with(both, "X-Gitlab-Token", "whatever")).is_ok());

    // The time is signed: moving it does not help.
    let moved = with(
        sent.clone(),
        "webhook-timestamp",
        &(now().timestamp() + 1).to_string(),
    );
    assert_eq!(check(moved), wrong);
    // A signing key is no token.
    let token = with(
        without(sent, "webhook-signature"),
        "X-Gitlab-Token",
        &secret,
    );
    assert_eq!(
        check(token),
        Err(HookError::Unsigned {
            forge: Forge::Gitlab
        })
    );
}

#[test]
fn a_signing_key_of_nothing_never_verifies() {
    let body = fixture("gitlab-push");
    let error = read_with(Forge::Gitlab, standard(&body, b"", now()), &body, b"whsec_");
    assert_eq!(
        error,
        Err(HookError::WrongSignature {
            forge: Forge::Gitlab
        })
    );
}

#[test]
fn with_a_plain_token_the_newer_headers_do_not_matter() {
    let body = fixture("gitlab-push");
    let sent = with(
        headers(Forge::Gitlab, "Push Hook", &body),
        "webhook-signature",
        "v1,AAAA",
    );
    assert!(read_with(Forge::Gitlab, sent, &body, SECRET).is_ok());
}

fn form(json: &[u8]) -> Vec<u8> {
    let json = std::str::from_utf8(json).unwrap();
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", json)
        .finish()
        .into_bytes()
}

#[test]
fn a_form_is_signed_as_sent_by_github_and_as_json_by_gitea_and_forgejo() {
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    for forge in [Forge::Github, Forge::Gitea, Forge::Forgejo] {
        let json = fixture(&format!("{}-push", forge.as_str()));
        let form = form(&json);
        let (signed, other) = if forge == Forge::Github {
            (&form, &json)
        } else {
            (&json, &form)
        };
        let sent = |over: &[u8]| with(headers(forge, "push", over), "Content-Type", kind);
        let plain = read(forge, "push", &json).unwrap();
        assert_eq!(
            read_with(forge, sent(signed), &form, SECRET).unwrap(),
            plain
        );
        let error = read_with(forge, sent(other), &form, SECRET).unwrap_err();
        assert_eq!(error, HookError::WrongSignature { forge });
    }
}

#[test]
fn what_is_no_push_says_why() {
    let not_json: [&[u8]; 6] = [
        b"",
        b"Hello, World!",
        b"{\"ref\":",
        b"\xff\xfe",
        b"[1,",
        b"{}x",
    ];
    for body in not_json {
        let error = read(Forge::Github, "push", body).unwrap_err();
        assert!(matches!(error, HookError::NotJson { .. }), "{error}");
    }
    for body in [
        "{}",
        "[]",
        "null",
        "3",
        r#"{"repository":null}"#,
        r#"{"repository":7}"#,
    ] {
        let error = read(Forge::Github, "push", body.as_bytes()).unwrap_err();
        assert!(
            matches!(error, HookError::NotAPush { .. }),
            "{body}: {error}"
        );
    }
    let base = String::from_utf8(fixture("github-push")).unwrap();
    for (from, to, says) in [
        (
            r#""ref": "refs/heads/main""#,
            r#""ref": 7"#,
            "expected a string",
        ),
        (
            r#""ref": "refs/heads/main""#,
            r#""ref": "refs/heads/a..b""#,
            "no branch name",
        ),
        (
            r#""ref": "refs/heads/main""#,
            r#""ref": "refs/heads/""#,
            "no branch name",
        ),
        (
            r#""ref": "refs/heads/main""#,
            r#""ref": "refs/heads/a\nb""#,
            "no branch name",
        ),
        (
            r#""after": "59b2"#,
            r#""after": "--up"#,
            "after is no commit id",
        ),
        (r#""before": ""#, r#""befor": ""#, "missing field `before`"),
    ] {
        let body = base.replacen(from, to, 1);
        assert_ne!(body, base);
        let error = read(Forge::Github, "push", body.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_form_without_payload_is_told_so() {
    let body = b"hello=world";
    let kind = "application/x-www-form-urlencoded";
    let sent = with(headers(Forge::Github, "push", body), "Content-Type", kind);
    let error = read_with(Forge::Github, sent, body, SECRET).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the body is not JSON: the form has no field payload"
    );
}

#[test]
fn a_sha_256_repository_is_read() {
    let text = String::from_utf8(fixture("github-push")).unwrap();
    let long = text
        .replace("59b20b8d5c6ff8d09518216e87bd35deff2bb8c6", &"5".repeat(64))
        .replace("6113728f27ae82c7b1a177c8d03f9e96e0adf246", &"0".repeat(64));
    let delivery = read(Forge::Github, "push", long.as_bytes()).unwrap();
    let [Change::Push(push)] = delivery.what.as_slice() else {
        panic!("{delivery:?}")
    };
    assert_eq!((push.after.len(), push.before.as_deref()), (64, None));
}
