//! Writes the seeds that are made and not collected: events of every kind, webhooks from the gateway's
//! fixtures, jars. Run it when a kind of event is added: `cargo run -p ferry-fuzz --example seeds`.

#[path = "../../../shared/events/tests/samples/mod.rs"]
mod samples;

use std::{fs, io::Write, path::Path};

use ferry_events::{Event, EventId, Scope, Service, Traceparent};
use uuid::Uuid;
use zip::{ZipWriter, write::SimpleFileOptions};

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = ferry_fuzz::seeds(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a seed");
}

fn main() {
    for body in samples::bodies() {
        let name = body.kind().short_name();
        let event = Event {
            id: EventId::of("scheduler", "unit.cart.prod", 7, "x", 0),
            source: Service::Scheduler,
            time: samples::at(),
            scope: Scope::module(Some("core"), "cart").within("prod"),
            cause: Some(EventId(Uuid::from_u128(9))),
            trace: Some(Traceparent::root(Uuid::from_u128(10))),
            body,
        };
        put("event", &format!("{name}.json"), &event.encode());
    }
    webhooks();
    put(
        "jar",
        "module.jar",
        &module(&[("lib/a.jar", &library("a"))]),
    );
    put("jar", "thin.jar", &module(&[]));
    put(
        "jar",
        "base.jar",
        &zip(&[
            (
                "META-INF/MANIFEST.MF",
                b"Manifest-Version: 1.0\r\n\r\n".as_slice(),
            ),
            ("BOOT-INF/lib/a.jar", &library("a")),
        ]),
    );
}

fn webhooks() {
    let fixtures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/gateway/tests/fixtures");
    for entry in fs::read_dir(fixtures).expect("fixtures") {
        let path = entry.expect("a fixture").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let (forge, event, delivery) = match name.as_str() {
            n if n.starts_with("bitbucket-dc") => (
                "bitbucket-dc",
                "X-Event-Key: repo:refs_changed",
                "X-Request-Id",
            ),
            n if n.starts_with("bitbucket") => {
                ("bitbucket", "X-Event-Key: repo:push", "X-Request-UUID")
            }
            n if n.starts_with("gitlab-tag") => {
                ("gitlab", "X-Gitlab-Event: Tag Push Hook", "Idempotency-Key")
            }
            n if n.starts_with("gitlab") => {
                ("gitlab", "X-Gitlab-Event: Push Hook", "Idempotency-Key")
            }
            n if n.starts_with("gitea") => ("gitea", "X-Gitea-Event: push", "X-Gitea-Delivery"),
            n if n.starts_with("forgejo") => {
                ("forgejo", "X-Forgejo-Event: push", "X-Forgejo-Delivery")
            }
            n if n.starts_with("github-ping") => {
                ("github", "X-GitHub-Event: ping", "X-GitHub-Delivery")
            }
            _ => ("github", "X-GitHub-Event: push", "X-GitHub-Delivery"),
        };
        let mut bytes =
            format!("{forge}\n{event}\n{delivery}: d-1\nContent-Type: application/json\n\n")
                .into_bytes();
        bytes.extend(fs::read(&path).expect("a fixture"));
        put("webhook", &name, &bytes);
    }
}

fn zip(items: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in items {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .expect("an entry");
        writer.write_all(bytes).expect("its bytes");
    }
    writer.finish().expect("a zip").into_inner()
}

fn library(name: &str) -> Vec<u8> {
    let properties = format!("artifactId={name}\ngroupId=g\nversion=1.0\n");
    zip(&[
        ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n"),
        (
            &format!("META-INF/maven/g/{name}/pom.properties"),
            properties.as_bytes(),
        ),
        ("g/A.class", b"\xca\xfe\xba\xbe"),
    ])
}

fn module(more: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = "Manifest-Version: 1.0\r\nArk-Biz-Name: hello\r\nArk-Biz-Version: 1.0.0\r\nMain-Class: com.alipay.sofa.ark.bootstrap.ArkLauncher\r\nStart-Class: demo.Hello\r\npriority: 100\r\nweb-context-path: hello\r\ndeclared-libraries: hello\r\n\r\n";
    let mut items: Vec<(&str, &[u8])> = vec![
        ("META-INF/MANIFEST.MF", manifest.as_bytes()),
        (
            "com/alipay/sofa/ark/biz/mark",
            b"a mark file included in sofa-ark module.",
        ),
        ("demo/Hello.class", b"\xca\xfe\xba\xbe\x00"),
    ];
    items.extend_from_slice(more);
    zip(&items)
}
