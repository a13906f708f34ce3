//! The manners of arklet's HTTP server, byte by byte.

mod support;

use std::time::Duration;

use support::{NO_ANSWER, Rig, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes; returns what comes back until the base closes, or None when
/// it neither answers nor closes within the time given.
async fn exchange(rig: &Rig, request: &str, within: Duration) -> Option<String> {
    let address = rig.base.arklet_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    let read = stream.read_to_string(&mut reply);
    tokio::time::timeout(within, read).await.ok()?.unwrap();
    Some(reply)
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: base\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_reply_has_no_length_and_no_type_and_ends_with_the_connection() {
    let rig = Rig::honest().await;
    let reply = exchange(&rig, &post("/queryAllBiz", "{}"), SOON)
        .await
        .unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).unwrap(),
        serde_json::json!({"code": "SUCCESS", "data": []})
    );
}

#[tokio::test]
async fn malformed_json_gets_no_reply_at_all() {
    let rig = Rig::honest().await;
    for body in ["{\"a\":", "[]", "\"text\""] {
        assert_eq!(
            exchange(&rig, &post("/queryAllBiz", body), NO_ANSWER).await,
            None,
            "{body}"
        );
    }
    // The base is well all the same.
    assert!(
        exchange(&rig, &post("/health", ""), SOON)
            .await
            .unwrap()
            .contains("healthData")
    );
}

#[tokio::test]
async fn an_empty_body_is_null() {
    let rig = Rig::honest().await;
    assert!(
        exchange(&rig, &post("/queryAllBiz", ""), SOON)
            .await
            .unwrap()
            .contains("SUCCESS")
    );
    for body in ["", "null", "{\"args\": 7}"] {
        let reply = exchange(&rig, &post("/installBiz", body), SOON)
            .await
            .unwrap();
        assert!(reply.contains("because \\\"input\\\" is null"), "{reply}");
    }
}

#[tokio::test]
async fn only_post_is_taken_and_only_known_paths() {
    let rig = Rig::honest().await;
    let get = exchange(&rig, "GET /health HTTP/1.1\r\nHost: base\r\n\r\n", SOON)
        .await
        .unwrap();
    assert!(
        get.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
        "{get}"
    );
    assert!(
        get.ends_with("POST http request only supported by arklet"),
        "{get}"
    );
    for path in ["/nothing", "/", "/batchInstallBiz"] {
        let reply = exchange(&rig, &post(path, "{}"), SOON).await.unwrap();
        assert!(reply.contains("CMD_NOT_FOUND"), "{reply}");
    }
}

#[tokio::test]
async fn more_than_a_mebibyte_is_too_large() {
    let rig = Rig::honest().await;
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat((1 << 20) - 8));
    assert_eq!(fits.len(), 1 << 20);
    let reply = exchange(&rig, &post("/queryAllBiz", &fits), SOON)
        .await
        .unwrap();
    assert!(reply.contains("SUCCESS"), "{reply}");
    let reply = exchange(&rig, &post("/queryAllBiz", &format!("{fits} ")), SOON)
        .await
        .unwrap();
    assert!(
        reply.starts_with("HTTP/1.1 413 Request Entity Too Large"),
        "{reply}"
    );
}

#[tokio::test]
async fn one_slow_synchronous_install_stalls_every_fourth_connection() {
    let rig = Rig::honest().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x.jar", silent.local_addr().unwrap());
    let body = format!("{{\"bizName\":\"a\",\"bizVersion\":\"1\",\"bizUrl\":\"{url}\"}}");
    let address = rig.base.arklet_url.strip_prefix("http://").unwrap();
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck
        .write_all(post("/installBiz", &body).as_bytes())
        .await
        .unwrap();
    let (download, _) = tokio::time::timeout(SOON, silent.accept())
        .await
        .unwrap()
        .unwrap();

    let rig = std::sync::Arc::new(rig);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let rig = std::sync::Arc::clone(&rig);
        asked.spawn(async move { exchange(&rig, &post("/health", "{}"), SOON).await });
    }
    for _ in 0..3 {
        let answered = tokio::time::timeout(SOON, asked.join_next()).await;
        assert!(answered.unwrap().unwrap().unwrap().is_some());
    }
    let stalled = tokio::time::timeout(NO_ANSWER, asked.join_next()).await;
    assert!(stalled.is_err(), "the fourth waits for the install");
    drop(download);
    let late = tokio::time::timeout(SOON, asked.join_next()).await;
    assert!(
        late.unwrap()
            .unwrap()
            .unwrap()
            .unwrap()
            .contains("healthData")
    );
    let mut reply = String::new();
    stuck.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("CMD_PROCESS_INTERNAL_ERROR"), "{reply}");
}
