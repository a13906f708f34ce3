//! Deliveries as the forges send them, signed here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ferry_config::Forge;
use ferry_gateway::decide::forge::{Delivery, Headers, HookError, look};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub const SECRET: &[u8] = b"It's a Secret to Everybody";
pub const ID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

pub fn now() -> DateTime<Utc> {
    "2025-06-01T09:30:00Z".parse().unwrap()
}

pub fn mac(secret: &[u8], body: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(secret)
        .unwrap()
        .chain_update(body)
        .finalize()
        .into_bytes()
        .to_vec()
}

/// The headers that the forge sends with an event, signed.
pub fn headers(forge: Forge, event: &str, body: &[u8]) -> Vec<(String, String)> {
    let hex = hex::encode(mac(SECRET, body));
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    let pairs: Vec<(&str, String)> = match forge {
        Forge::Github => vec![
            ("X-GitHub-Event", event.into()),
            ("X-GitHub-Delivery", ID.into()),
            ("X-Hub-Signature-256", format!("sha256={hex}")),
        ],
        Forge::Gitlab => vec![
            ("X-Gitlab-Event", event.into()),
            ("X-Gitlab-Event-UUID", "a chain of hooks".into()),
            ("Idempotency-Key", ID.into()),
            ("X-Gitlab-Token", secret),
        ],
        Forge::Gitea | Forge::Forgejo => {
            let mut pairs = vec![
                ("X-GitHub-Event", event.into()),
                ("X-GitHub-Delivery", ID.into()),
                ("X-Hub-Signature-256", format!("sha256={hex}")),
                ("X-Gitea-Event", event.into()),
                ("X-Gitea-Delivery", ID.into()),
                ("X-Gitea-Signature", hex.clone()),
            ];
            if forge == Forge::Forgejo {
                pairs.push(("X-Forgejo-Event", event.into()));
                pairs.push(("X-Forgejo-Delivery", ID.into()));
                pairs.push(("X-Forgejo-Signature", hex));
            }
            pairs
        }
        Forge::Bitbucket => vec![
            ("X-Event-Key", event.into()),
            ("X-Request-UUID", ID.into()),
            ("X-Hub-Signature", format!("sha256={hex}")),
        ],
        Forge::BitbucketDc => vec![
            ("X-Event-Key", event.into()),
            ("X-Request-Id", ID.into()),
            ("X-Hub-Signature", format!("sha256={hex}")),
        ],
    };
    let json = ("Content-Type".to_owned(), "application/json".to_owned());
    pairs
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v))
        .chain([json])
        .collect()
}

pub fn event_of(forge: Forge) -> &'static str {
    match forge {
        Forge::Github | Forge::Gitea | Forge::Forgejo => "push",
        Forge::Gitlab => "Push Hook",
        Forge::Bitbucket => "repo:push",
        Forge::BitbucketDc => "repo:refs_changed",
    }
}

pub fn read_with(
    forge: Forge,
    headers: Vec<(String, String)>,
    body: &[u8],
    secret: &[u8],
) -> Result<Delivery, HookError> {
    look(forge, &Headers::new(headers), body)?.verify(secret, now())
}

pub fn read(forge: Forge, event: &str, body: &[u8]) -> Result<Delivery, HookError> {
    read_with(forge, headers(forge, event, body), body, SECRET)
}

pub fn without(headers: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    headers.into_iter().filter(|(n, _)| n != name).collect()
}

pub fn with(headers: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    let mut headers = without(headers, name);
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

/// GitLab's newer form, signed with the key that `whsec_…` holds.
pub fn standard(body: &[u8], key: &[u8], at: DateTime<Utc>) -> Vec<(String, String)> {
    let signed = [format!("{ID}.{}.", at.timestamp()).as_bytes(), body].concat();
    let sent = headers(Forge::Gitlab, "Push Hook", body);
    let sent = without(with(sent, "webhook-id", ID), "X-Gitlab-Token");
    let sent = with(sent, "webhook-timestamp", &at.timestamp().to_string());
    with(
        sent,
        "webhook-signature",
        &format!("v1,{}", STANDARD.encode(mac(key, &signed))),
    )
}
