//! What a tree of processes uses: memory and tasks.
//!
//! In: the tree's root. Out: [`Usage`], read from `/proc`. Control groups would bound it harder, but
//! neither containers nor ordinary users can count on having one of their own.

use std::{collections::BTreeMap, fs};

/// What a tree uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in bytes. What processes share counts for each.
    pub memory: u64,
    /// Processes and their threads.
    pub tasks: u64,
    /// Processes that have not ended.
    pub processes: u64,
}

struct Process {
    alive: bool,
    parent: u32,
    tasks: u64,
    pages: u64,
}

/// What the tree below a process uses, itself included.
pub fn of(root: u32) -> Usage {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes: BTreeMap<u32, Process> = entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((id, parse(&stat)?))
        })
        .collect();
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .unwrap_or(4096);
    let mut usage = Usage::default();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        let Some(process) = processes.get(&id) else {
            continue;
        };
        usage.tasks += process.tasks;
        usage.processes += u64::from(process.alive);
        usage.memory += process.pages * page.unsigned_abs();
        next.extend(
            processes
                .iter()
                .filter(|(_, child)| child.parent == id)
                .map(|(child, _)| *child),
        );
    }
    usage
}

/// A line of `/proc/PID/stat`, see proc(5). The name in parentheses may hold anything, so fields are
/// counted from its end.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        alive: !matches!(*fields.first()?, "Z" | "X"),
        parent: u32::try_from(number(1)?).ok()?,
        tasks: number(17)?,
        pages: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 5 7 7 0 -1 4194304 100 0 0 0 1 1 0 0 20 0 3 0 99 1000000 250 18446744073709551615";
        let process = parse(stat).unwrap();
        assert_eq!((process.alive, process.parent, process.tasks), (true, 5, 3));
        assert_eq!(process.pages, 250);
        assert!(!parse(&stat.replace(") S ", ") Z ")).unwrap().alive);
        assert!(parse("7 (a").is_none());
    }

    #[test]
    fn this_process_uses_something() {
        let usage = of(std::process::id());
        assert!(
            usage.memory > 1024 * 1024 && usage.tasks >= usage.processes && usage.processes >= 1,
            "{usage:?}"
        );
    }
}
