//! The operator's commands on a real nats-server that knows its users: streams,
//! configuration, refusals.
//!
//! In: keys and a server configuration that the binary wrote. Out: words, JSON,
//! exit codes.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// nats-server listens within milliseconds.
const LIMIT: Duration = Duration::from_secs(30);

struct Rig {
    dir: TempDir,
    port: u16,
}

/// Killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Rig {
    fn new() -> Self {
        let port = ferry_ports::port().expect("a port");
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            port,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ferry(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ferry"))
            .current_dir(self.dir.path())
            .args(args)
            .env("FERRY_BUS", format!("nats://127.0.0.1:{}", self.port))
            .env_remove("FERRY_CREDENTIALS")
            .output()
            .expect("ferry runs")
    }

    /// With the operator's key.
    fn operator(&self, args: &[&str]) -> Output {
        let with_key = [args, &["--credentials", "keys/operator.nk"]].concat();
        self.ferry(&with_key)
    }

    /// Starts nats-server with keys and a configuration from `ferry bus users`.
    fn start(&self) -> Server {
        let port = self.port.to_string();
        let args = [
            "bus",
            "users",
            "--dir",
            "keys",
            "--server-config",
            "nats.conf",
            "--port",
            &port,
        ];
        let made = self.ferry(&args);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        let log = fs::File::create(self.path("nats.log")).expect("a log");
        let server = Command::new(ferry_tools::nats_server().expect("nats-server"))
            .current_dir(self.dir.path())
            .args(["-c", "nats.conf"])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server runs");
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.path("nats.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Server(server)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

fn is(output: &Output, code: i32, words: &str) {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{words:?} in {said}");
}

#[test]
fn a_bus_is_prepared_and_its_configuration_applied_and_shown() {
    let rig = Rig::new();
    let _server = rig.start();

    let made = json(&rig.operator(&["bus", "init", "--json"]));
    let made = made.as_array().expect("a list");
    assert!(made.iter().any(|it| it["name"] == "FERRY"), "{made:?}");
    assert!(made.iter().all(|it| it["created"] == true), "{made:?}");
    let again = json(&rig.operator(&["bus", "init", "--json"]));
    let again = again.as_array().expect("a list");
    assert_eq!(again.len(), made.len());
    assert!(again.iter().all(|it| it["created"] == false), "{again:?}");

    is(
        &rig.operator(&["config", "show"]),
        5,
        "no configuration is in force",
    );
    assert_eq!(rig.ferry(&["init"]).status.code(), Some(0));
    let first = json(&rig.operator(&["config", "apply", "--json"]));
    assert_eq!(first["changed"], true);
    let same = json(&rig.operator(&["config", "apply", "--json"]));
    assert_eq!(same["changed"], false);
    assert_eq!(same["sequence"], first["sequence"]);

    let file = rig.path("ferry.toml");
    let changed = fs::read_to_string(&file)
        .expect("text")
        .replace("prod-1", "prod-7");
    fs::write(&file, changed).expect("written");
    let second = json(&rig.operator(&["config", "apply", "--json"]));
    assert_eq!(second["changed"], true);
    let shown = json(&rig.operator(&["config", "show", "--json"]));
    assert_eq!(shown["sequence"], second["sequence"]);
    assert_eq!(shown["digest"], second["digest"]);
    assert_eq!(
        shown["config"]["pools"]["prod"]["bases"][0]["name"],
        "prod-7"
    );

    // What is shown is a file that is taken again.
    let toml = rig.operator(&["config", "show"]);
    is(&toml, 0, "prod-7");
    fs::write(rig.path("shown.toml"), &toml.stdout).expect("written");
    let loaded = ferry_config::load(&rig.path("shown.toml")).expect("it is good");
    assert_eq!(
        loaded.config.revision_digest(),
        shown["digest"].as_str().expect("a digest")
    );

    fs::write(&file, "[modules.hello]\nrepository = \"nowhere\"\n").expect("written");
    is(&rig.operator(&["config", "apply"]), 1, "nowhere");
    let still = json(&rig.operator(&["config", "show", "--json"]));
    assert_eq!(still["sequence"], second["sequence"]);
}

#[test]
fn who_may_not_is_refused() {
    let rig = Rig::new();
    let _server = rig.start();
    is(&rig.ferry(&["bus", "init"]), 4, "--credentials");
    // Another service's key is known to the server, and may not do this.
    let wrong = rig.ferry(&["bus", "init", "--credentials", "keys/verifier.nk"]);
    assert_ne!(wrong.status.code(), Some(0));
    let missing = rig.ferry(&["bus", "init", "--credentials", "keys/nobody.nk"]);
    is(&missing, 1, "nobody.nk");
    let made = json(&rig.operator(&["bus", "init", "--json"]));
    let made = made.as_array().expect("a list");
    assert!(
        made.iter().all(|it| it["created"] == true),
        "nobody else made any: {made:?}"
    );
}

#[test]
fn a_bus_that_is_not_there() {
    let rig = Rig::new();
    is(&rig.ferry(&["config", "show"]), 3, "does not answer");
}
