//! The builder's mirrors, damaged on its disk in every way that a crash or a bad disk leaves: set aside,
//! fetched again, and the run goes on as if nothing had been. The pairs of folders are real git's.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ferry_events::{Reason, push::Resolution};

use ferry_rig::disk::SmallDisk;
use support::{Branch, Forge, Outside, config, push};

const FILE: &str = "[builder]\nallow_clone = [\"file\"]";

/// The one mirror, and the names of what was set aside.
fn mirrors(outside: &Outside) -> (PathBuf, Vec<String>) {
    let folder = outside.folder.path().join("data/mirrors");
    let (mut whole, mut aside) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".damaged") {
            aside.push(name);
        } else {
            whole.push(path);
        }
    }
    assert_eq!(whole.len(), 1, "{whole:?}");
    (whole.remove(0), aside)
}

fn object(mirror: &Path, id: &str) -> PathBuf {
    mirror.join("objects").join(&id[..2]).join(&id[2..])
}

fn git(mirror: &Path, words: &[&str]) {
    let status = Command::new("git")
        .arg("--git-dir")
        .arg(mirror)
        .args(words)
        .status();
    assert!(status.expect("git").success(), "git {words:?}");
}

/// Writes over a file that git left read-only.
fn overwrite(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).expect("a file");
    fs::write(file, bytes).expect("a file");
}

fn file_in(folder: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .find(|path| path.to_string_lossy().ends_with(ending))
        .unwrap_or_else(|| panic!("no {ending} in {}", folder.display()))
}

fn kept_branch(mirror: &Path) -> PathBuf {
    let folder = mirror.join("refs/ferry/branch");
    let mut entries = fs::read_dir(folder).expect("a folder");
    entries.next().expect("a branch").expect("an entry").path()
}

/// One way to damage a mirror: told the mirror and the head commit.
type Damage = fn(&Path, &str);

#[tokio::test]
async fn a_damaged_mirror_is_set_aside_and_the_next_push_runs_all_the_same() {
    let ways: [(&str, Damage); 9] = [
        ("HEAD is garbage", |mirror, _| {
            fs::write(mirror.join("HEAD"), "garbage\n").unwrap()
        }),
        ("HEAD is empty", |mirror, _| {
            fs::write(mirror.join("HEAD"), "").unwrap()
        }),
        ("the objects are gone", |mirror, _| {
            fs::remove_dir_all(mirror.join("objects")).unwrap()
        }),
        ("the configuration is garbage", |mirror, _| {
            fs::write(mirror.join("config"), "[garbage").unwrap();
        }),
        ("the head's object is garbage", |mirror, head| {
            overwrite(&object(mirror, head), b"garbage");
        }),
        ("the head's object is empty", |mirror, head| {
            overwrite(&object(mirror, head), b"")
        }),
        ("a branch is garbage", |mirror, _| {
            fs::write(kept_branch(mirror), "garbage\n").unwrap()
        }),
        ("a killed fetch left its lock", |mirror, _| {
            let mut lock = kept_branch(mirror).into_os_string();
            lock.push(".lock");
            fs::write(lock, "").unwrap();
        }),
        ("a pack's bytes have changed", |mirror, _| {
            git(mirror, &["repack", "-adq"]);
            let pack = file_in(&mirror.join("objects/pack"), ".pack");
            let mut bytes = fs::read(&pack).unwrap();
            bytes
                .iter_mut()
                .skip(30)
                .take(200)
                .for_each(|byte| *byte = !*byte);
            overwrite(&pack, &bytes);
        }),
    ];
    for (what, damage) in ways {
        let (forge, outside) = (Forge::new(), Outside::new());
        let mut main = Branch::new(config(&forge.url(), FILE), "main");
        let first = forge.change("main", "cart/pom.xml", "1");
        let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
        assert_eq!(resolved.resolution, Resolution::Started, "{what}");
        let (mirror, aside) = mirrors(&outside);
        assert!(aside.is_empty(), "{aside:?}");
        damage(&mirror, &first);

        let second = forge.change("main", "cart/A.java", "2");
        let (resolved, changes) = main.push(&outside, push("2", "main", &second)).await;
        assert_eq!(
            resolved.resolution,
            Resolution::Started,
            "{what}: {resolved:?}"
        );
        assert_eq!(
            changes.len(),
            1,
            "{what}: only the cart was touched: {changes:?}"
        );
        assert_eq!(
            mirrors(&outside).1.len(),
            1,
            "{what}: it is kept for a person to look at"
        );

        // And once more: the place of the one set aside is taken by the next.
        damage(&mirrors(&outside).0, &second);
        let third = forge.change("main", "prices/A.java", "3");
        let (resolved, changes) = main.push(&outside, push("3", "main", &third)).await;
        assert_eq!(
            resolved.resolution,
            Resolution::Started,
            "{what}: {resolved:?}"
        );
        assert_eq!(
            (changes.len(), changes[0].module.as_str()),
            (1, "prices"),
            "{what}"
        );
        assert_eq!(
            mirrors(&outside).1.len(),
            1,
            "{what}: the disk is not filled"
        );
    }
}

#[tokio::test]
async fn a_hole_in_the_history_makes_no_head_forgotten() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = Branch::new(config(&forge.url(), FILE), "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    main.push(&outside, push("1", "main", &first)).await;
    let second = forge.change("main", "prices/A.java", "2");
    // Fetched before the hook comes, as a push to another branch does.
    let mut other = Branch::new(config(&forge.url(), FILE), "release/1");
    forge.push("release/1");
    other
        .push(&outside, push("other", "release/1", &second))
        .await;
    let (mirror, _) = mirrors(&outside);
    fs::remove_file(object(&mirror, &first)).unwrap();

    let (resolved, changes) = main.push(&outside, push("2", "main", &second)).await;
    assert_eq!(resolved.resolution, Resolution::Started, "{resolved:?}");
    let modules: Vec<_> = changes
        .iter()
        .map(|change| change.module.as_str())
        .collect();
    assert_eq!(
        modules,
        ["prices"],
        "the head is known, so only what differs runs"
    );
    assert_eq!(mirrors(&outside).1.len(), 1);
}

#[tokio::test]
async fn a_repository_that_is_damaged_at_the_forge_costs_one_more_fetch_and_is_said() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = Branch::new(config(&forge.url(), FILE), "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    overwrite(&object(&forge.bare(), &first), b"garbage");
    let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Failed);
    let stop = resolved.stop.expect("a stop");
    assert_eq!(stop.reason, Reason::FetchFailed, "{stop}");
}

#[tokio::test]
async fn a_full_disk_stops_with_its_reason_and_a_redelivery_goes_on_once_it_has_room() {
    let Some(disk) = SmallDisk::of(8 << 10).unwrap() else {
        return;
    };
    let (forge, outside) = (Forge::new(), Outside::below(disk.path()));
    let mut main = Branch::new(config(&forge.url(), FILE), "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Started);

    disk.fill().unwrap();
    let second = forge.change("main", "cart/A.java", &noise());
    let (resolved, _) = main.push(&outside, push("2", "main", &second)).await;
    assert_eq!(resolved.resolution, Resolution::Failed);
    let stop = resolved.stop.expect("a stop");
    assert_eq!(stop.reason, Reason::DiskFull, "{stop}");

    disk.free().unwrap();
    let (resolved, changes) = main.push(&outside, push("2", "main", &second)).await;
    assert_eq!(resolved.resolution, Resolution::Started, "{resolved:?}");
    assert_eq!((changes.len(), changes[0].order), (1, 2));
    assert!(mirrors(&outside).1.is_empty(), "a full disk is no damage");
}

/// Text that does not compress.
fn noise() -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).expect("below 90"))
    };
    (0..256 << 10).map(|_| next()).collect()
}
