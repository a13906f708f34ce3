//! What strangers can send, read as Ferry reads it, with what must hold of every input.
//!
//! In: any bytes. Out: nothing; what does not hold panics. `fuzz/` drives these functions with
//! cargo-fuzz, `tests/twins.rs` with proptest; both from the seeds in `seeds/`.

use std::{
    io::{Cursor, Write},
    path::PathBuf,
};

use chrono::DateTime;
use ferry_ark::{arklet::Reply, manifest::Manifest};
use ferry_config::Forge;
use ferry_events::{Command, Event, push::Received};
use ferry_gateway::decide::{
    forge::{Change, Headers, Wire, look},
    record,
};
use ferry_slim::{BaseProfile, Limits, Stamp};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A target: its name, which is its folder of seeds and its cargo-fuzz target too, and its entry.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("webhook", webhook),
    ("event", event),
    ("command", command),
    ("config", config),
    ("manifest", manifest),
    ("jar", jar),
    ("reply", reply),
];

/// The folder with a target's seeds.
pub fn seeds(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target)
}

const SECRET: &[u8] = b"the secret of the webhook";

/// A delivery: a line with the forge, header lines, an empty line, the body.
///
/// Unsigned it is never believed. Signed, what it says can be recorded and read back.
pub fn webhook(data: &[u8]) {
    let Some((forge, headers, body)) = delivery(data) else {
        return;
    };
    let now = DateTime::from_timestamp(1_767_225_600, 0).expect("a moment");
    let unsigned = Headers::new(headers.iter().map(|(n, v)| (n, v)));
    if let Ok(claim) = look(forge, &unsigned, body) {
        assert!(
            claim.verify(SECRET, now).is_err(),
            "a delivery that nobody signed is believed"
        );
        assert!(claim.verify(b"", now).is_err(), "an empty secret verifies");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("HMAC takes a key of any length");
    mac.update(body);
    let hex = hex::encode(mac.finalize().into_bytes());
    let signed = [
        ("X-Hub-Signature-256", format!("sha256={hex}")),
        ("X-Hub-Signature", format!("sha256={hex}")),
        ("X-Gitea-Signature", hex.clone()),
        ("X-Forgejo-Signature", hex),
        (
            "X-Gitlab-Token",
            String::from_utf8_lossy(SECRET).into_owned(),
        ),
    ];
    let all = signed
        .iter()
        .map(|(n, v)| (n.to_string(), v.clone().into_bytes()))
        .chain(headers);
    let headers = Headers::new(all);
    let Ok(claim) = look(forge, &headers, body) else {
        return;
    };
    let delivery = match claim.verify(SECRET, now) {
        Ok(delivery) => delivery,
        Err(error) => {
            assert!(!error.to_string().is_empty() && error.code().starts_with("hook-"));
            return;
        }
    };
    assert!(!delivery.what.is_empty(), "a delivery says something");
    assert!(!delivery.delivery_id.is_empty());
    for change in &delivery.what {
        let Change::Push(push) = change else { continue };
        assert!(
            push.after.len() >= 40
                && push
                    .after
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            "{:?} is no commit",
            push.after
        );
        let received = record::received(forge, "repository", &delivery.delivery_id, push, now);
        let text = serde_json::to_vec(&received).expect("a record is always JSON");
        let back: Received = serde_json::from_slice(&text).expect("a record can be read back");
        assert_eq!(back, received);
    }
}

type Delivery<'a> = (Forge, Vec<(String, Vec<u8>)>, &'a [u8]);

fn delivery(data: &[u8]) -> Option<Delivery<'_>> {
    let (mut rest, mut lines) = (data, Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let (first, lines) = lines.split_first()?;
    let forge = Forge::ALL
        .into_iter()
        .find(|forge| forge.as_str().as_bytes() == *first)?;
    let headers = lines.iter().filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        // A signature is the sender's to make, and here nobody knows the secret.
        let signs = forge.signature_header().to_lowercase();
        (!signs.contains(&name.to_lowercase()) || name.is_empty())
            .then(|| (name, line[colon + 1..].to_vec()))
    });
    Some((forge, headers.collect(), rest))
}

/// An event of the bus: what is read is written again as it was understood.
pub fn event(data: &[u8]) {
    match Event::decode(data) {
        Ok(event) => {
            let again = Event::decode(&event.encode()).expect("what was read can be written");
            assert_eq!(again, event);
            // It can stand on the bus, whatever it names.
            let subject = event.bus_subject();
            assert!(
                subject.split('.').count() == 7
                    && subject.split('.').all(|token| !token.is_empty()
                        && token.bytes().all(|b| b.is_ascii_lowercase()
                            || b.is_ascii_digit()
                            || b"-_".contains(&b))),
                "{subject:?} is no subject of an event"
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A command of the bus: what is read is written again as it was understood.
pub fn command(data: &[u8]) {
    if let Ok(command) = serde_json::from_slice::<Command>(data) {
        let text = serde_json::to_vec(&command).expect("a command is always JSON");
        let again: Command = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(again, command);
        assert_eq!(
            ferry_events::subject::command(&command).split('.').count(),
            4
        );
    }
}

/// `ferry.toml`: every finding names a place in the text; what is taken survives the bus.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = text.lines().count() as u32 + 1;
    match ferry_config::parse(&[(PathBuf::from("/ferry/ferry.toml"), text.to_owned())]) {
        Ok(loaded) => {
            let json = serde_json::to_vec(&loaded.config).expect("a configuration is always JSON");
            let again: ferry_config::Config =
                serde_json::from_slice(&json).expect("what goes on the bus can be read there");
            assert_eq!(again, loaded.config);
        }
        Err(found) => {
            assert!(!found.is_empty(), "refused without a word");
            for one in found {
                assert!(one.line <= lines, "line {} of {lines}", one.line);
                assert!(!one.message.is_empty());
            }
        }
    }
}

/// A manifest: what is read can be written, and is the same then.
pub fn manifest(data: &[u8]) {
    match Manifest::parse(data) {
        Ok(manifest) => {
            let bytes = manifest.to_bytes();
            let again = Manifest::parse(&bytes).expect("what was written can be read");
            assert!(again.entries().eq(manifest.entries()));
            if let Ok(ark) = manifest.ark() {
                assert!(ark.identity().contains(&ark.name));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A jar, packaged or a base's own: it is read within its limits, and slimming is a fixpoint.
pub fn jar(data: &[u8]) {
    let limits = Limits {
        max_unpacked: 1 << 20,
        max_entries: 200,
    };
    let profile = BaseProfile::from_jar(Cursor::new(data), limits);
    if let Ok(profile) = &profile {
        let again = BaseProfile::from_json(&profile.to_json()).expect("a profile can be read back");
        assert_eq!(again.digest(), profile.digest());
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output, second) = (
        folder.path().join("in.jar"),
        folder.path().join("out.jar"),
        folder.path().join("again.jar"),
    );
    std::fs::File::create(&input)
        .and_then(|mut file| file.write_all(data))
        .expect("a temporary file");
    let stamp = Stamp::packaged();
    if ferry_slim::slim(&input, profile.as_ref().ok(), &stamp, &output, limits).is_ok() {
        ferry_slim::slim(&output, profile.as_ref().ok(), &stamp, &second, limits)
            .expect("what was slimmed can be slimmed");
        let read = |path| std::fs::read(path).expect("it was written");
        assert!(
            read(&output) == read(&second),
            "slimming twice is slimming once"
        );
    } else {
        assert!(!output.exists(), "a jar that was refused leaves nothing");
    }
}

/// What a base answers: it may say anything, and every question about it comes back.
pub fn reply(data: &[u8]) {
    let Ok(reply) = Reply::decode(data) else {
        return;
    };
    let _ = (
        reply.is_success(),
        reply.is_used_request_id(),
        reply.is_unknown_request_id(),
    );
    let _ = (reply.reason(), reply.biz(), reply.bizs(), reply.commands());
    assert!(
        !(reply.is_success() && reply.is_used_request_id()),
        "a success is no refusal"
    );
    if let Some(record) = reply.process_record() {
        let _ = record.outcome();
    }
    if let Some(health) = reply.health() {
        let _ = health.modules().count();
    }
}
