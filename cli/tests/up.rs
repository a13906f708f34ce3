//! `ferry up` on a real nats-server, with scripts in the place of the services:
//! what it starts, how it keeps and ends it. Real services are the end-to-end
//! tests' matter.
//!
//! In: a folder with the binary and six scripts. Out: files that the scripts
//! write, words, exit codes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ferry_events::Service;
use tempfile::TempDir;

/// Nothing here takes longer than a second on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Writes down how it was started; ends when asked to, and says so.
const SCRIPT: &str = "#!/bin/sh
me=$(basename \"$0\")
trap 'echo $me >> ended; exit 0' TERM
echo \"$me $$ $*\" >> started
while :; do sleep 0.05; done
";

struct Rig {
    dir: TempDir,
    binary: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).expect("made");
        let binary = bin.join("ferry");
        let built = env!("CARGO_BIN_EXE_ferry");
        // A link where the disk is the same: the binary is large.
        if fs::hard_link(built, &binary).is_err() {
            fs::copy(built, &binary).expect("copied");
        }
        let port = ferry_ports::port().expect("a port");
        fs::write(dir.path().join("ferry.toml"), config(port, 1)).expect("written");
        Self { dir, binary }
    }

    fn with_services(self) -> Self {
        for service in Service::ALL {
            let path = self.binary.with_file_name(format!("ferry-{service}"));
            fs::write(&path, SCRIPT).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.dir.path())
            .arg("up")
            .env_remove("FERRY_BUS")
            .env(
                "FERRY_NATS_SERVER",
                ferry_tools::nats_server().expect("nats-server"),
            );
        command
    }

    fn up(&self) -> Up {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("up.log"))
            .expect("a log");
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("ferry runs");
        Up(child)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits until a file says it.
    fn wait(&self, name: &str, said: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = self.text(name);
            if said(&text) {
                return text;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: {text}\n{}",
                self.text("up.log")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process that a service runs as, of its `start`-th start.
    fn process(&self, service: &str, start: usize) -> i32 {
        let name = format!("ferry-{service} ");
        let starts = |text: &str| {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let ours: Vec<String> = whole
                .lines()
                .filter_map(|line| line.strip_prefix(&name))
                .filter_map(|line| line.split(' ').next().map(str::to_owned))
                .collect();
            ours.get(start).cloned()
        };
        let text = self.wait("started", |text| starts(text).is_some());
        starts(&text)
            .expect("it was waited for")
            .parse()
            .expect("an id")
    }
}

/// Killed when dropped, with what it started.
struct Up(Child);

impl Up {
    fn signal(&self, signal: &str) {
        kill(signal, self.0.id().try_into().expect("an id"));
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // The first asks, the second kills what it started, the third what is left.
        for signal in ["TERM", "TERM"] {
            if matches!(self.0.try_wait(), Ok(None)) {
                self.signal(signal);
            }
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kill(signal: &str, id: i32) {
    let done = Command::new("kill")
        .args([format!("-{signal}"), id.to_string()])
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "process {id} is not there"
    );
}

fn is_alive(id: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn config(port: u16, base: u32) -> String {
    format!(
        "[bus]\nurl = \"nats://127.0.0.1:{port}\"\n[environments.prod]\n[pools.prod]\nenvironment = \"prod\"\n\
         [[pools.prod.bases]]\nname = \"prod-{base}\"\narklet = \"http://127.0.0.1:1238\"\nurl = \"http://127.0.0.1:8080\"\n"
    )
}

fn all_started(text: &str) -> bool {
    Service::ALL
        .iter()
        .all(|service| text.contains(&format!("ferry-{service} ")))
}

#[test]
fn services_are_started_kept_and_ended() {
    let rig = Rig::new().with_services();
    let mut up = rig.up();
    let started = rig.wait("started", all_started);
    for line in started.lines() {
        let (name, seed) = line.split_once(' ').expect("a name");
        let seed_file = format!("keys/{}.nk", name.trim_start_matches("ferry-"));
        for argument in [
            "--bus nats://127.0.0.1:",
            "--credentials ",
            &seed_file,
            "--secrets ",
            "--data ",
        ] {
            assert!(seed.contains(argument), "{argument} in {line}");
        }
        assert_eq!(
            seed.contains("--health 127.0.0.1:"),
            name != "ferry-gateway",
            "{line}"
        );
    }

    let first = rig.process("slimmer", 0);
    kill("KILL", first);
    let second = rig.process("slimmer", 1);
    assert_ne!(first, second);
    assert!(
        rig.text("up.log").contains("slimmer ended (signal: 9"),
        "{}",
        rig.text("up.log")
    );

    // Another configuration, a broken one, and the good one again.
    let good = rig.text("ferry.toml");
    let other = good.replace("prod-1", "prod-7");
    fs::write(rig.path("ferry.toml"), &other).expect("written");
    rig.wait("up.log", |text| text.contains("is in force: "));
    fs::write(rig.path("ferry.toml"), other.replace("url", "ulr")).expect("written");
    rig.wait("up.log", |text| {
        text.contains("the one before stays in force")
    });

    let second_up = rig.command().output().expect("ferry runs");
    assert_eq!(second_up.status.code(), Some(1));
    fs::write(rig.path("ferry.toml"), &other).expect("written");
    let second_up = rig.command().output().expect("ferry runs");
    assert_eq!(second_up.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second_up.stderr).into_owned();
    assert!(
        said.contains("runs on") && said.contains(&up.0.id().to_string()),
        "{said}"
    );

    up.signal("TERM");
    assert_eq!(up.ended().code(), Some(0), "{}", rig.text("up.log"));
    let ended = rig.text("ended");
    for service in Service::ALL {
        assert!(
            ended.contains(&format!("ferry-{service}")),
            "{service} was not asked: {ended}"
        );
    }
    assert!(!is_alive(second));
}

#[test]
fn what_a_killed_one_left_over_is_ended_by_the_next() {
    let rig = Rig::new().with_services();
    let mut up = rig.up();
    rig.wait("started", all_started);
    let before: Vec<i32> = Service::ALL
        .iter()
        .map(|service| rig.process(service.name(), 0))
        .collect();
    up.signal("KILL");
    up.ended();
    assert!(
        before.iter().all(|id| is_alive(*id)),
        "they run on without it"
    );

    let mut next = rig.up();
    for service in Service::ALL {
        rig.process(service.name(), 1);
    }
    assert!(
        !before.iter().any(|id| is_alive(*id)),
        "{}",
        rig.text("up.log")
    );
    assert!(
        rig.text("up.log").contains("left running"),
        "{}",
        rig.text("up.log")
    );
    next.signal("INT");
    assert_eq!(next.ended().code(), Some(0), "{}", rig.text("up.log"));
}

#[test]
fn programs_that_are_missing_are_named() {
    let rig = Rig::new();
    let done = rig
        .command()
        .env("PATH", rig.path("nowhere"))
        .output()
        .expect("ferry runs");
    assert_eq!(done.status.code(), Some(5));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        said.contains("ferry-gateway") && said.contains("ferry-verifier"),
        "{said}"
    );

    let rig = rig.with_services();
    let done = rig
        .command()
        .env("PATH", rig.path("nowhere"))
        .env_remove("FERRY_NATS_SERVER")
        .output()
        .expect("ferry runs");
    assert_eq!(done.status.code(), Some(5));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        said.contains("nats-server is not on the PATH") && said.contains("next:"),
        "{said}"
    );
}

#[test]
fn a_port_that_is_taken_is_said() {
    let rig = Rig::new().with_services();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    fs::write(rig.path("ferry.toml"), config(port, 1)).expect("written");
    let done = rig.command().output().expect("ferry runs");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        said.contains("nats-server ended") && said.contains("[bus] url"),
        "{said}"
    );
    assert!(
        !Path::new(&rig.path("started")).exists(),
        "nothing else was started"
    );
}
