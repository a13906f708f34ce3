//! Webhooks over HTTP: durable before 202, through the inbox where the bus is
//! silent; on the bus in memory with the gateway's own permissions.

mod common;

use common::*;
use ferry_api::PushState;
use ferry_bus::{MemoryBus, StreamLimits};
use ferry_events::PushId;
use ferry_rig::disk::SmallDisk;
use serde_json::{Value, json};

/// The fixture with another head, for another branch.
fn pushed(branch: &str, digit: char) -> Vec<u8> {
    let text = String::from_utf8(fixture("github-push")).unwrap();
    text.replace(
        "59b20b8d5c6ff8d09518216e87bd35deff2bb8c6",
        &digit.to_string().repeat(40),
    )
    .replace("refs/heads/main", &format!("refs/heads/{branch}"))
    .into_bytes()
}

#[tokio::test]
async fn a_signed_push_is_durable_once_however_often_it_comes() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let first = gateway.github("d-1", &fixture("github-push")).await;
    assert_eq!(first.status, 202, "{:?}", first.body);
    assert_eq!(first.body["status"], "accepted");
    // On the bus before the answer, and in the views soon.
    assert_eq!(events(&bus, "push.received").len(), 1);
    let again = gateway.github("d-1", &fixture("github-push")).await;
    assert_eq!(
        (again.status, push_of(&again.body)),
        (202, push_of(&first.body))
    );
    assert_eq!(events(&bus, "push.received").len(), 1);
    // The same push under another delivery is another push: git tells them apart.
    let other = gateway.github("d-2", &fixture("github-push")).await;
    assert_ne!(push_of(&other.body), push_of(&first.body));

    let event = events(&bus, "push.received").remove(0);
    assert_eq!(event.scope.team.as_deref(), Some("shop"));
    let view = gateway
        .client(VIEWER)
        .push(push_of(&first.body))
        .await
        .unwrap();
    assert_eq!(view.author.as_deref(), Some("dev <dev@git.example>"));
    assert_eq!(view.message.as_deref(), Some("Greet by name"));
    assert_eq!(
        (view.repository.as_str(), view.branch.as_str()),
        ("hello", "main")
    );
}

#[tokio::test]
async fn what_is_refused_tells_no_more_than_it_must() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let url = format!("{}/hooks/github", gateway.url);
    let send = async |sign: &str, body: Vec<u8>| {
        ferry_rig::hook::send_raw(&gateway.http, &url, sign, "d-1", body)
            .await
            .unwrap()
    };
    for sign in [
        "",
        "sha256=",
        "sha256=00",
        &ferry_rig::hook::signature(b"wrong", &fixture("github-push")),
    ] {
        let answer = send(sign, fixture("github-push")).await;
        assert_eq!(answer.status, 401, "{sign}");
        assert!(answer.body["code"].as_str().unwrap().starts_with("hook-"));
    }
    // Signed or not, an unknown repository is unknown.
    let unknown = String::from_utf8(fixture("github-push"))
        .unwrap()
        .replace("acme/hello", "acme/x");
    let signed = gateway.github("d-1", unknown.as_bytes()).await;
    let unsigned = send("", unknown.into_bytes()).await;
    assert_eq!((signed.status, unsigned.status), (404, 404));
    assert_eq!(signed.body, unsigned.body);
    assert_eq!(
        signed.body,
        json!({"status": 404, "title": "Not Found", "code": "not-found", "detail": "not found"})
    );
    // A repository of another forge is unknown here, too.
    let answer = gateway.github("d-1", b"Hello, World!").await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (400, Some("hook-not-json"))
    );
    let answer = gateway.github("d-1", b"{}").await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (400, Some("hook-no-push"))
    );
    let answer = gateway.github("d-1", &vec![b' '; 64 * 1024 + 1]).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (413, Some("too-large"))
    );
    let parts = (0..9).map(|_| Ok::<_, std::io::Error>(vec![b' '; 8 * 1024]));
    let chunks = futures::stream::iter(parts.collect::<Vec<_>>());
    let chunked = gateway
        .http
        .post(&url)
        .body(reqwest::Body::wrap_stream(chunks))
        .send()
        .await
        .unwrap();
    assert_eq!(chunked.status(), 413);
    let answer = gateway
        .http
        .post(format!("{}/hooks/nowhere", gateway.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(events(&bus, "push.received").is_empty());
}

#[tokio::test]
async fn what_has_nothing_to_run_says_why() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let skipped = String::from_utf8(fixture("github-push")).unwrap();
    let skipped = skipped.replace("The page asked for it.", "[Skip CI] please");
    let docs = skipped
        .replace("[Skip CI] please", "")
        .replace("src/main", "docs");
    let cases: [(&[u8], &str); 6] = [
        (&fixture("github-tag"), "a tag: "),
        (&fixture("github-deleted"), "a deletion: "),
        (
            &fixture("github-unchanged"),
            "the branch stands where it stood",
        ),
        (
            &pushed("feature/x", '5'),
            "no module of this repository watches the branch feature/x",
        ),
        (
            skipped.as_bytes(),
            "the head commit's message says [skip ci]",
        ),
        (
            docs.as_bytes(),
            "no module of this repository watches any of the changed paths",
        ),
    ];
    for (body, why) in cases {
        let answer = gateway.github("d-1", body).await;
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (200, Some("ignored")),
            "{why}"
        );
        assert!(
            answer.body["why"].as_str().unwrap().starts_with(why),
            "{}",
            answer.body
        );
    }
    let ping = |name: &'static str| {
        let body = fixture(name);
        gateway
            .http
            .post(format!("{}/hooks/github", gateway.url))
            .header("X-GitHub-Event", "ping")
            .header("X-GitHub-Delivery", "d-1")
            .header(
                "X-Hub-Signature-256",
                ferry_rig::hook::signature(SECRET, &body),
            )
            .body(body)
            .send()
    };
    assert_eq!(ping("github-ping").await.unwrap().status(), 200);
    assert_eq!(
        ping("github-ping-organization").await.unwrap().status(),
        200
    );
    assert!(events(&bus, "push.received").is_empty());
}

#[tokio::test]
async fn several_refs_of_one_delivery_are_several_pushes() {
    let bus = MemoryBus::default();
    let text = toml().replace(
        "full_name = ",
        "branches = [\"main\", \"feature/*\"]\nfull_name = ",
    );
    let gateway = Gateway::start(&bus, &text).await;
    let body = fixture("bitbucket-several");
    let send = || {
        gateway
            .http
            .post(format!("{}/hooks/bitbucket", gateway.url))
            .header("X-Event-Key", "repo:push")
            .header("X-Request-UUID", "d-1")
            .header("X-Hub-Signature", ferry_rig::hook::signature(SECRET, &body))
            .body(body.clone())
            .send()
    };
    let answer: Value = send().await.unwrap().json().await.unwrap();
    let refs = answer["refs"].as_array().unwrap();
    let told: Vec<_> = refs
        .iter()
        .map(|it| (it["ref"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    let expected = [
        ("refs/heads/main", "accepted"),
        ("refs/heads/feature/names", "accepted"),
        ("refs/heads/old", "ignored"),
        ("refs/tags/v1.2.0", "ignored"),
    ];
    assert_eq!(told, expected);
    assert_ne!(refs[0]["push"], refs[1]["push"]);
    assert_eq!(answer["push"], refs[0]["push"]);
    assert_eq!(send().await.unwrap().status(), 202);
    assert_eq!(events(&bus, "push.received").len(), 2);
}

#[tokio::test]
async fn a_silent_bus_sends_pushes_through_the_inbox_in_order() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    bus.set_connected(false);
    let mut pushes = Vec::new();
    for digit in '1'..='5' {
        let answer = gateway
            .github(&format!("d-{digit}"), &pushed("main", digit))
            .await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        pushes.push(push_of(&answer.body));
    }
    let again = gateway.github("d-3", &pushed("main", '3')).await;
    assert_eq!(push_of(&again.body), pushes[2]);
    let view = gateway.client(ADMIN).push(pushes[4]).await.unwrap();
    assert_eq!(view.state, PushState::Inbox);
    assert!(!gateway.client(ADMIN).ready().await.unwrap().ready);

    bus.set_connected(true);
    until("the inbox to be empty", || async {
        (events(&bus, "push.received").len() == 5).then_some(())
    })
    .await;
    let delivered: Vec<PushId> = events(&bus, "push.received")
        .iter()
        .map(|event| match &event.body {
            ferry_events::Body::PushReceived(it) => it.push,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(delivered, pushes);
    gateway.ready().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_push() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    bus.lose_answers(1);
    let answer = gateway.github("d-1", &fixture("github-push")).await;
    assert_eq!(answer.status, 202);
    until("the inbox to be empty", || async {
        let ready = gateway.client(ADMIN).ready().await.unwrap();
        ready
            .checks
            .iter()
            .any(|it| it.detail.starts_with("0 pushes"))
            .then_some(())
    })
    .await;
    assert_eq!(events(&bus, "push.received").len(), 1);
}

#[tokio::test]
async fn a_full_inbox_says_come_again() {
    let bus = MemoryBus::default();
    // Long names, so that not thousands are needed.
    let long = "b".repeat(900);
    let text = toml()
        .replace("[gateway]", "[gateway]\ninbox_limit = \"1MiB\"")
        .replace(
            "forge = \"github\"",
            "forge = \"github\"\nbranches = [\"b*\"]",
        );
    let gateway = Gateway::start(&bus, &text).await;
    bus.set_connected(false);
    let url = format!("{}/hooks/github", gateway.url);
    let mut taken = 0;
    let refused = loop {
        let (body, id) = (pushed(&long, '5'), format!("d-{taken}"));
        let response = gateway
            .http
            .post(&url)
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", id)
            .header(
                "X-Hub-Signature-256",
                ferry_rig::hook::signature(SECRET, &body),
            )
            .body(body)
            .send()
            .await
            .unwrap();
        if response.status() != 202 {
            break response;
        }
        taken += 1;
    };
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    assert!(taken > 400, "{taken}");
    bus.set_connected(true);
    until("all that was taken to be delivered", || async {
        (events(&bus, "push.received").len() == taken).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_disk_without_room_says_come_again_before_it_is_full() {
    let bus = MemoryBus::default();
    let text = toml().replace("[gateway]", "[gateway]\nmin_free_disk = \"8000000GiB\"");
    let gateway = Gateway::start(&bus, &text).await;
    // With the bus there the disk does not matter.
    let answer = gateway.github("d-1", &pushed("main", '1')).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    bus.set_connected(false);
    let answer = gateway.github("d-2", &pushed("main", '2')).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (503, Some("disk-nearly-full"))
    );
    let ready = gateway.client(ADMIN).ready().await.unwrap();
    let inbox = ready.checks.iter().find(|check| check.name == "inbox");
    let inbox = inbox.expect("a check of the inbox");
    assert!(
        !inbox.ok && inbox.detail.contains("min_free_disk"),
        "{inbox:?}"
    );
}

/// A gateway whose disk has become full to the last byte while the bus is silent; with what it took.
/// None: this user cannot mount a disk.
async fn on_a_full_disk(bus: &MemoryBus) -> Option<(SmallDisk, Gateway, Vec<PushId>)> {
    let disk = SmallDisk::of(16 << 10).unwrap()?;
    // Without the floor, which is there so that this does not happen; no file of configuration may
    // leave it out, and others may fill a disk between the look and the write.
    let mut loaded = ferry_config::parse(&[("ferry.toml".into(), toml())]).unwrap();
    loaded.config.gateway.min_free_disk = 0;
    let payload = serde_json::to_vec(&loaded.config).unwrap();
    let operator = bus.as_user(ferry_bus::User::Operator);
    ferry_bus::config_store::put(&operator, payload.into(), 0)
        .await
        .unwrap();
    let data = tempfile::TempDir::new_in(disk.path()).unwrap();
    std::fs::write(data.path().join("hook-secret"), [SECRET, b"\n"].concat()).unwrap();
    let gateway = Gateway::start_in(gateway_of(bus), data).await;
    gateway.ready().await;
    bus.set_connected(false);
    let mut taken = Vec::new();
    for digit in '1'..='3' {
        let answer = gateway
            .github(&format!("d-{digit}"), &pushed("main", digit))
            .await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        taken.push(push_of(&answer.body));
    }
    disk.fill().unwrap();
    // What fits into the blocks that the inbox has already is taken, then nothing more.
    for number in 0.. {
        assert!(number < 5000, "the disk is full");
        let body = pushed("main", '4');
        let sign = ferry_rig::hook::signature(SECRET, &body);
        let response = gateway
            .http
            .post(format!("{}/hooks/github", gateway.url))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", format!("full-{number}"))
            .header("X-Hub-Signature-256", sign)
            .body(body)
            .send()
            .await
            .unwrap();
        if response.status() != 202 {
            assert_eq!(response.status(), 503);
            assert!(
                response.headers().contains_key("retry-after"),
                "{response:?}"
            );
            break;
        }
        taken.push(push_of(&response.json().await.unwrap()));
    }
    let again = gateway.github("d-1", &pushed("main", '1')).await;
    assert_eq!(again.status, 503, "{:?}", again.body);
    let ready = gateway.client(ADMIN).ready().await.unwrap();
    let inbox = ready.checks.iter().find(|check| check.name == "inbox");
    assert!(!inbox.expect("a check of the inbox").ok, "{ready:?}");
    Some((disk, gateway, taken))
}

/// Waits until all that was taken is on the bus, and says that it is there once and in order. A push
/// that was refused may be there too: its sender was asked to send it again, which makes no second one.
async fn all_arrived(bus: &MemoryBus, taken: &[PushId]) {
    let pushes = || -> Vec<PushId> {
        let events = events(bus, "push.received");
        let pushes = events.iter().map(|event| match &event.body {
            ferry_events::Body::PushReceived(it) => it.push,
            other => panic!("{other:?}"),
        });
        pushes.collect()
    };
    until("all that was taken to be delivered", || async {
        let there = pushes();
        taken.iter().all(|push| there.contains(push)).then_some(())
    })
    .await;
    let mut there = pushes();
    there.retain(|push| taken.contains(push));
    assert_eq!(there, taken);
}

#[tokio::test]
async fn a_disk_that_is_really_full_says_come_again_and_all_goes_on_once_it_has_room() {
    let bus = MemoryBus::default();
    let Some((disk, gateway, taken)) = on_a_full_disk(&bus).await else {
        return;
    };
    disk.free().unwrap();
    let answer = until("the inbox to take pushes again", || async {
        let answer = gateway.github("d-9", &pushed("main", '9')).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    bus.set_connected(true);
    all_arrived(&bus, &[&taken[..], &[push_of(&answer.body)]].concat()).await;
    gateway.ready().await;
    assert!(!gateway.data.path().join("inbox.damaged-1").exists());
}

#[tokio::test]
async fn a_gateway_that_starts_on_a_full_disk_says_so_and_loses_nothing() {
    let bus = MemoryBus::default();
    let Some((disk, gateway, taken)) = on_a_full_disk(&bus).await else {
        return;
    };
    let data = gateway.stop().await;
    let refused = ferry_gateway::effects::inbox::Inbox::open(data.path())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("make room"), "{refused}");
    disk.free().unwrap();
    bus.set_connected(true);
    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    all_arrived(&bus, &taken).await;
    gateway.ready().await;
    assert!(!gateway.data.path().join("inbox.damaged-1").exists());
}

#[tokio::test]
async fn a_full_bus_fills_the_inbox_and_then_says_come_again() {
    let limits = StreamLimits {
        event_bytes: 64 << 10,
        ..StreamLimits::default()
    };
    let bus = MemoryBus::new(MemoryBus::START, &limits);
    let long = "b".repeat(900);
    let text = toml()
        .replace("[gateway]", "[gateway]\ninbox_limit = \"1MiB\"")
        .replace(
            "forge = \"github\"",
            "forge = \"github\"\nbranches = [\"b*\"]",
        );
    let gateway = Gateway::start(&bus, &text).await;
    let mut taken = 0;
    let refused = loop {
        let answer = gateway
            .github(&format!("d-{taken}"), &pushed(&long, '5'))
            .await;
        if answer.status != 202 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (503, Some("inbox-full"))
    );
    let on_the_bus = events(&bus, "push.received").len();
    assert!(
        on_the_bus > 3 && taken > on_the_bus + 400,
        "{on_the_bus} of {taken} are on the bus"
    );
}

#[tokio::test]
async fn a_gateway_that_starts_on_a_silent_bus_still_takes_pushes() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    bus.set_connected(false);
    let first = gateway.github("d-1", &pushed("main", '1')).await;
    let data = gateway.stop().await;

    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    let second = until("the gateway to answer", || async {
        let url = format!("{}/hooks/github", gateway.url);
        let body = pushed("main", '2');
        let sign = ferry_rig::hook::signature(SECRET, &body);
        ferry_rig::hook::send_raw(&gateway.http, &url, &sign, "d-2", body)
            .await
            .ok()
    })
    .await;
    assert_eq!((first.status, second.status), (202, 202));
    bus.set_connected(true);
    until("both pushes", || async {
        (events(&bus, "push.received").len() == 2).then_some(())
    })
    .await;
    gateway.ready().await;
}

/// Damages an inbox with three pushes in it; gives how many still arrive.
async fn damaged(damage: impl FnOnce(&std::path::Path)) -> usize {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    bus.set_connected(false);
    for digit in '1'..='3' {
        assert_eq!(
            gateway
                .github(&format!("d-{digit}"), &pushed("main", digit))
                .await
                .status,
            202
        );
    }
    let data = gateway.stop().await;
    damage(&data.path().join("inbox"));

    bus.set_connected(true);
    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    gateway.ready().await;
    assert!(gateway.data.path().join("inbox.damaged-1").exists());
    let left = events(&bus, "push.received").len();
    // What comes now is taken, through the new inbox too.
    bus.set_connected(false);
    assert_eq!(
        gateway.github("d-4", &pushed("main", '4')).await.status,
        202
    );
    bus.set_connected(true);
    until("the new push", || async {
        (events(&bus, "push.received").len() == left + 1).then_some(())
    })
    .await;
    let data = gateway.stop().await;
    // The new inbox is whole.
    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    gateway.ready().await;
    assert!(!gateway.data.path().join("inbox.damaged-2").exists());
    left
}

#[tokio::test]
async fn an_inbox_with_a_damaged_log_is_set_aside() {
    // sled alone would open this one as empty, and say nothing.
    let noise = |inbox: &std::path::Path| {
        let size = std::fs::metadata(inbox.join("db")).unwrap().len();
        let noise: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
        std::fs::write(inbox.join("db"), noise).unwrap();
    };
    assert_eq!(damaged(noise).await, 0);
}

#[tokio::test]
async fn an_inbox_that_was_cut_short_is_set_aside() {
    let cut = |inbox: &std::path::Path| {
        let log = std::fs::OpenOptions::new()
            .write(true)
            .open(inbox.join("db"))
            .unwrap();
        log.set_len(64).unwrap();
    };
    assert_eq!(damaged(cut).await, 0);
}

#[tokio::test]
async fn an_inbox_that_is_gone_is_noticed() {
    assert_eq!(
        damaged(|inbox| std::fs::remove_dir_all(inbox).unwrap()).await,
        0
    );
}

#[tokio::test]
async fn an_inbox_that_went_back_in_time_delivers_what_it_has() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    bus.set_connected(false);
    assert_eq!(
        gateway.github("d-1", &pushed("main", '1')).await.status,
        202
    );
    let data = gateway.stop().await;
    let copy = tempfile::TempDir::new().unwrap();
    let (inbox, copy) = (data.path().join("inbox"), copy.path().join("inbox"));
    copy_all(&inbox, &copy);
    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    let body = pushed("main", '2');
    let sign = ferry_rig::hook::signature(SECRET, &body);
    let url = format!("{}/hooks/github", gateway.url);
    until("the gateway to answer", || async {
        ferry_rig::hook::send_raw(&gateway.http, &url, &sign, "d-2", body.clone())
            .await
            .ok()
    })
    .await;
    let data = gateway.stop().await;
    std::fs::remove_dir_all(&inbox).unwrap();
    copy_all(&copy, &inbox);

    bus.set_connected(true);
    let gateway = Gateway::start_in(gateway_of(&bus), data).await;
    gateway.ready().await;
    assert!(gateway.data.path().join("inbox.damaged-1").exists());
    until("the push that was left", || async {
        (events(&bus, "push.received").len() == 1).then_some(())
    })
    .await;
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn only_one_gateway_opens_an_inbox() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let error = ferry_gateway::effects::inbox::Inbox::open(gateway.data.path())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("open in another process"),
        "{error}"
    );
    assert!(!gateway.data.path().join("inbox.damaged-1").exists());
}
