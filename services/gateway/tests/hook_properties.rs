//! Properties of reading webhooks: nothing panics, and no flipped bit verifies.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::fixture;
use common::forge::*;
use ferry_config::Forge;
use ferry_gateway::decide::forge::{Headers, look};
use proptest::prelude::*;

fn any_forge() -> impl Strategy<Value = Forge> {
    prop::sample::select(Forge::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic_and_never_verify(
        forge in any_forge(),
        event in prop::sample::select(vec!["push", "Push Hook", "repo:push", "repo:refs_changed", "ping", "x"]),
        kind in prop::sample::select(vec!["application/json", "application/x-www-form-urlencoded"]),
        names in prop::collection::vec(("[a-zA-Z-]{0,20}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let sent = with(without(headers(forge, event, b""), "X-Gitlab-Token"), "Content-Type", kind);
        let sent = sent.into_iter().map(|(n, v)| (n, v.into_bytes())).chain(names);
        let headers = Headers::new(sent);
        if !body.is_empty() && let Ok(claim) = look(forge, &headers, &body) {
            prop_assert!(claim.verify(SECRET, now()).is_err());
        }
    }

    #[test]
    fn signed_json_of_any_shape_never_panics(
        forge in any_forge(),
        path in prop::sample::select(vec!["ref", "after", "before", "commits", "repository", "push", "changes", "project", "head_commit", "toCommit"]),
        value in prop::sample::select(vec!["null", "7", "\"\"", "\"refs/heads/x\"", "[]", "{}", "[null]", "[{}]", "-1e999", "\"\\u0000\""]),
    ) {
        let mut json: serde_json::Value =
            serde_json::from_slice(&fixture(&format!("{}-push", forge.as_str()))).unwrap();
        if let Ok(value) = serde_json::from_str(value) {
            json[path] = value;
        }
        let body = serde_json::to_vec(&json).unwrap();
        // Either is fine; what counts is that it comes back.
        let _ = read(forge, event_of(forge), &body);
    }

    #[test]
    fn a_flipped_bit_in_the_body_never_verifies(forge in any_forge(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        // A plain token does not cover the body: GitLab's newer form does.
        let body = fixture(&format!("{}-push", forge.as_str()));
        let key = b"a key of twenty-four byt";
        let (sent, secret) = if forge == Forge::Gitlab {
            (standard(&body, key, now()), format!("whsec_{}", STANDARD.encode(key)).into_bytes())
        } else {
            (headers(forge, event_of(forge), &body), SECRET.to_vec())
        };
        prop_assert!(read_with(forge, sent.clone(), &body, &secret).is_ok());
        let mut flipped = body;
        let at = at.index(flipped.len());
        flipped[at] ^= 1 << bit;
        prop_assert!(read_with(forge, sent, &flipped, &secret).is_err());
    }

    #[test]
    fn a_flipped_bit_in_the_signature_never_verifies(forge in any_forge(), at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let body = fixture(&format!("{}-push", forge.as_str()));
        let header = match forge {
            Forge::Github => "X-Hub-Signature-256",
            Forge::Gitlab => "X-Gitlab-Token",
            Forge::Gitea => "X-Gitea-Signature",
            Forge::Forgejo => "X-Forgejo-Signature",
            Forge::Bitbucket | Forge::BitbucketDc => "X-Hub-Signature",
        };
        let sent = headers(forge, event_of(forge), &body);
        let mut value = sent.iter().find(|(n, _)| n == header).unwrap().1.clone().into_bytes();
        let at = at.index(value.len());
        value[at] ^= 1 << bit;
        let flipped = String::from_utf8(value).unwrap();
        prop_assert!(read_with(forge, with(sent, header, &flipped), &body, SECRET).is_err());
    }
}
