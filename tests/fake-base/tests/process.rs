//! The fake base as a process of its own.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ferry_ark::arklet::{InstallBiz, Reply};
use ferry_fake_base::{Addresses, Behaviour, FakeJar};
use support::{client, jar_url};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(flags: &[&str]) -> (Process, Addresses) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferry-fake-base"))
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (Process(child), serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_when_a_module_ends_it() {
    let (mut process, at) = start(&["--name", "prod-1", "--faults", r#"{"slow_install_ms": 1}"#]);
    let folder = tempfile::tempdir().unwrap();
    let bomb = FakeJar::new("bomb", "1").behaves(Behaviour {
        exit_jvm: true,
        ..Behaviour::default()
    });
    let post = |path: &str, body: String| {
        let url = format!("{}{path}", at.arklet_url);
        async { client().post(url).body(body).send().await?.bytes().await }
    };
    let health = Reply::decode(&post("/health", "{}".to_owned()).await.unwrap()).unwrap();
    assert_eq!(health.health().unwrap().master.unwrap().name, "prod-1");
    let install = InstallBiz {
        is_async: false,
        ..InstallBiz::asynchronous("bomb", "1", jar_url(folder.path(), &bomb), "")
    };
    let lost = post("/installBiz", serde_json::to_string(&install).unwrap()).await;
    assert!(lost.is_err(), "a process that has ended sends no reply");
    let status = tokio::task::spawn_blocking(move || process.0.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_fault_that_does_not_exist_is_refused_by_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_ferry-fake-base"))
        .args(["--faults", r#"{"hang_helth": true}"#])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("hang_helth") && said.contains("hang_health"),
        "{said}"
    );
}
