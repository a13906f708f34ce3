//! Children die with their handle, and their errors come with their log.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ferry_rig::process::Process;
use ferry_rig::wait::until;
use nix::sys::signal::kill;
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn the_whole_group_dies_with_the_handle() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // A grandchild, as Maven's and a shell's are.
    let command = shell("sleep 600 & echo child $!; wait");
    let mut process = Process::spawn("group", command, &dir.path().join("log"))?;
    let line = process
        .line(LIMIT, |line| line.starts_with("child "))
        .await?;
    let child = Pid::from_raw(line["child ".len()..].parse()?);
    assert!(kill(child, None).is_ok(), "the grandchild runs");
    drop(process);
    until("the grandchild's end", LIMIT, || async {
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // A zombie is dead; it waits for whoever adopted it.
        Ok((state.is_empty() || state.contains(") Z ")).then_some(()))
    })
    .await
}

#[tokio::test]
async fn an_early_end_is_told_at_once_with_the_log() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let command = shell("echo no such luck >&2; exit 3");
    let mut process = Process::spawn("unlucky", command, &dir.path().join("log"))?;
    let error = process
        .line(LIMIT, |line| line == "ready")
        .await
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("unlucky ended (exit status: 3)"), "{text}");
    assert!(text.contains("no such luck"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_second_start_does_not_read_the_lines_of_the_first() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let mut first = Process::spawn("first", shell("echo ready one"), &log)?;
    first.finish(LIMIT).await?;
    let mut second = Process::spawn("second", shell("echo ready two"), &log)?;
    let line = second.line(LIMIT, |line| line.starts_with("ready")).await?;
    assert_eq!(line, "ready two");
    Ok(())
}

#[tokio::test]
async fn terminate_kills_what_does_not_listen() -> Result<()> {
    use std::os::unix::process::ExitStatusExt;
    let dir = tempfile::tempdir()?;
    let command = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    let mut process = Process::spawn("deaf", command, &dir.path().join("log"))?;
    process.line(LIMIT, |line| line == "ready").await?;
    let status = process.terminate(Duration::from_millis(100)).await?;
    assert_eq!(status.signal(), Some(9));
    Ok(())
}
