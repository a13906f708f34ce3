//! Credentials: they reach the forge, and nobody else.

mod support;

use std::{
    fs,
    sync::{Arc, Mutex},
};

use ferry_builder::decide::head::{HeadWork, Wanted};
use ferry_events::Reason;
use support::{Branch, Outside, config, push};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A forge that wants to know who asks, and has nothing. It keeps what it was told.
async fn strict_forge(listener: TcpListener, told: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let known = request.to_ascii_lowercase().contains("\r\nauthorization:");
        told.lock().expect("no panic").push(request);
        let answer = if known {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        } else {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"forge\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

#[tokio::test]
async fn a_secret_reaches_the_forge_and_neither_a_command_line_nor_an_error() {
    let outside = Outside::new();
    fs::write(outside.folder.path().join("token"), "very-secret-token\n").expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://{}/acme/shop.git",
        listener.local_addr().expect("an address")
    );
    let told = Arc::new(Mutex::new(Vec::new()));
    let forge = tokio::spawn(strict_forge(listener, told.clone()));
    let mut config = config(&url, "[builder]\nallow_clone = [\"http\"]");
    let repository = config.repositories.get_mut("shop").expect("a repository");
    repository.credentials = Some("file:token".parse().expect("a reference"));
    let work = HeadWork {
        repository: "shop".into(),
        branch: "main".into(),
        head: None,
        ask: uuid::Uuid::nil(),
        wanted: Wanted::Named("main".into()),
    };
    let (effects, own) = (outside.effects.clone(), config.clone());
    let asked = tokio::spawn(async move { effects.resolve(&work, &own).await });
    // While git works, no process of this machine has the secret among its arguments.
    while !asked.is_finished() {
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&arguments).contains("very-secret-token"));
        }
        tokio::task::yield_now().await;
    }
    let stop = asked
        .await
        .expect("no panic")
        .expect_err("the forge has nothing");
    assert!(
        matches!(stop, ferry_runtime::Failure::GiveUp(_)),
        "{stop:?}"
    );
    let stop = stop.into_stop();
    assert_eq!(stop.reason, Reason::FetchFailed);
    assert!(
        stop.detail.contains("not found") && !stop.detail.contains("very-secret"),
        "{stop}"
    );
    // Basic authentication of x-access-token:very-secret-token.
    let sent = "Basic eC1hY2Nlc3MtdG9rZW46dmVyeS1zZWNyZXQtdG9rZW4=";
    assert!(
        told.lock()
            .expect("no panic")
            .iter()
            .any(|request| request.contains(sent))
    );
    forge.abort();

    let repository = config.repositories.get_mut("shop").expect("a repository");
    repository.credentials = Some("file:nowhere".parse().expect("a reference"));
    let mut main = Branch::new(config, "main");
    let (resolved, _) = main
        .push(&outside, push("1", "main", &"a".repeat(40)))
        .await;
    assert!(resolved.stop.expect("a stop").detail.contains("nowhere"));
}
