//! The sandbox by itself: what a program in it sees, and what is said where there is none.

mod support;

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::Stdio,
};

use ferry_builder::effects::{Jail, Unavailable, View};
use ferry_config::Sandbox;
use support::Outside;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_keeps_a_program_in() {
    let outside = Outside::new();
    let data = outside.folder.path().join("data");
    let jail = Jail::find(Sandbox::Required, &data)
        .await
        .expect("bubblewrap works here");
    let (sources, repository, home) = (data.join("s"), data.join("r"), data.join("h"));
    for folder in [&sources, &repository, &home] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let secret = data.join("secret");
    fs::write(&secret, "host-secret").expect("a file");
    let view = View {
        sources: &sources,
        repository: &repository,
        home: &home,
        settings: None,
        java_home: Path::new("/usr"),
        path: ".",
        online: false,
        processes: 256,
        worker: None,
        programs: Vec::new(),
        variables: Vec::new(),
    };
    let script = format!(
        "cat {secret} /root/.bashrc /etc/shadow 2>/dev/null; tr '\\0' '\\n' </proc/1/environ; env; \
         echo kept > kept; echo kept > /ferry/repository/kept; echo x > /usr/x 2>/dev/null && echo wrote-usr; \
         ls -d /proc/[0-9]* | wc -l; ls /sys/class/net /proc/sys/net 2>/dev/null; cat /proc/net/route | wc -l; id -u; pwd",
        secret = secret.display()
    );
    let words: Vec<OsString> = vec!["-c".into(), script.into()];
    let output = jail
        .command(&view, OsStr::new("/bin/sh"), &words)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("HOME=/ferry/home") && text.contains("\n/ferry/src\n"),
        "{text}"
    );
    for hidden in ["host-secret", "CARGO", "wrote-usr", "root:"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert!(sources.join("kept").is_file() && repository.join("kept").is_file());
    let alone: Vec<&str> = text
        .lines()
        .filter(|line| line.trim().parse::<u32>().is_ok())
        .collect();
    // Few processes, no route out, and no privilege where there are user namespaces.
    assert!(
        alone[0].trim().parse::<u32>().expect("a number") < 10,
        "{text}"
    );
    assert_eq!(
        alone[1].trim(),
        "1",
        "only the heading of the routes: {text}"
    );
}

#[tokio::test]
async fn a_sandbox_that_does_not_work_says_why_in_its_own_words() {
    use std::os::unix::fs::PermissionsExt as _;
    let outside = Outside::new();
    let data = outside.folder.path().join("data");
    let program = data.join("bwrap");
    fs::write(
        &program,
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n",
    )
    .expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("rights");
    let refused = Jail::bubblewrap(&program, &data)
        .await
        .expect_err("it does not work");
    assert!(
        matches!(&refused, Unavailable::Refused(said) if said == "bwrap: No permissions to create new namespace")
    );
    assert!(
        Jail::find(Sandbox::None, &data)
            .await
            .expect("asked for by hand")
            .is_open()
    );
}
