//! Keys and the server's configuration.
//!
//! In: a directory. Out: seeds that only their owner reads, and a file that nats-server takes.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use anyhow::Result;
use ferry_bus::{BusError, ServerOptions, User, Users, server_config};

#[test]
fn keys_are_made_once_and_read_by_their_owner_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("keys");
    let first = Users::load_or_create(&directory)?;
    let second = Users::load_or_create(&directory)?;
    for user in User::all() {
        assert_eq!(first.public(user), second.public(user));
        let file = directory.join(user.seed_file());
        assert_eq!(
            std::fs::metadata(&file)?.permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_to_string(&file)?.trim(), first.seed(user));
        assert!(
            !format!("{first:?}").contains(first.seed(user)),
            "a seed is never shown"
        );
    }
    let damaged = directory.join(User::Operator.seed_file());
    std::fs::write(&damaged, "no seed")?;
    let error = Users::load_or_create(&directory).expect_err("it is damaged");
    assert!(
        matches!(&error, BusError::Damaged(text) if text.contains("operator.nk")),
        "{error:?}"
    );
    assert!(!error.to_string().contains("no seed"));
    Ok(())
}

#[test]
fn the_server_takes_its_configuration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let users = Users::generate();
    let options = ServerOptions {
        name: "ferry-1".into(),
        host: "127.0.0.1".into(),
        port: Some(4222),
        store_dir: folder.path().join("a \"quoted\" folder"),
        ports_file_dir: Some(PathBuf::from(folder.path())),
        monitoring_port: Some(8222),
    };
    let text = server_config(&options, &users);
    for user in User::all() {
        assert!(text.contains(users.public(user)));
        assert!(
            !text.contains(users.seed(user)),
            "seeds stay with their users"
        );
    }
    let file = folder.path().join("nats-server.conf");
    std::fs::write(&file, text)?;
    let output = Command::new(ferry_rig::tools::nats_server()?)
        .arg("-t")
        .arg("-c")
        .arg(&file)
        .output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
