//! The workers of a shop as the kernel knows them.
//!
//! In: a shop. Out: how many workers it has; and the moment when each has made everything ready for its next build.

use std::fs;

use ferry_rig::{digest, wait};

use super::shop::{LIMIT, Shop};

/// Processes of this machine whose arguments have all of these words.
pub fn processes(words: &[&str]) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&arguments).replace('\0', " ");
        words.iter().all(|word| line.contains(word))
    })
    .collect()
}

/// Workers of a shop that run.
pub fn workers(shop: &Shop) -> usize {
    // Each is bubblewrap twice: outside, and as the first process within.
    jails(shop).len().div_ceil(2)
}

fn jails(shop: &Shop) -> Vec<u32> {
    let folder = shop.outside.folder.path().join("data/workers/worker-");
    processes(&["bwrap", &folder.to_string_lossy()])
}

/// Waits until every worker of a shop has put itself in order, and made ready what it makes for its next build.
pub async fn ready(shop: &Shop) {
    let folders = shop.outside.folder.path().join("data/workers");
    let look = async || {
        let mut all = fs::read_dir(&folders).into_iter().flatten().flatten();
        // A folder that goes away meanwhile is looked at once more.
        let in_order = all.all(|worker| {
            digest::files(&worker.path().join("src")).is_ok_and(|files| files.is_empty())
        });
        let jails = jails(shop);
        let mut javas = processes(&["ferry.warm.Worker"]);
        javas.retain(|java| jails.iter().any(|jail| is_below(*java, *jail)));
        let wait = javas.len() == workers(shop) && javas.iter().all(|java| waits(*java));
        Ok((in_order && wait).then_some(()))
    };
    let found = wait::until("workers that wait", LIMIT, look);
    found.await.expect("in time");
}

fn is_below(mut process: u32, root: u32) -> bool {
    while process > 1 && process != root {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mut lines = status.lines().filter_map(|line| line.strip_prefix("PPid:"));
        process = lines
            .next()
            .and_then(|id| id.trim().parse().ok())
            .unwrap_or(0);
    }
    process == root
}

/// Whether the thread that does what is asked waits for the next request, and the one that works ahead has ended.
fn waits(java: u32) -> bool {
    let of = |name: &str| {
        let tasks = fs::read_dir(format!("/proc/{java}/task"));
        let mut tasks = tasks.into_iter().flatten().flatten();
        tasks.find_map(|task| {
            let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            (text("comm").trim() == name).then(|| text("syscall"))
        })
    };
    of("worker").is_some_and(|call| reads_a_pipe(java, &call)) && of("ahead").is_none()
}

/// See proc_pid_syscall(5): a number, and the arguments.
fn reads_a_pipe(process: u32, call: &str) -> bool {
    // read(2) on x86-64, and on what has the common table, such as AArch64.
    let read = if cfg!(target_arch = "x86_64") {
        "0"
    } else {
        "63"
    };
    let mut words = call.split_whitespace();
    let number = words.next();
    let file = words.next().and_then(|file| file.strip_prefix("0x"));
    let Some(file) = file.and_then(|file| u32::from_str_radix(file, 16).ok()) else {
        return false;
    };
    let file = fs::read_link(format!("/proc/{process}/fd/{file}")).unwrap_or_default();
    number == Some(read) && file.to_string_lossy().starts_with("pipe:")
}
