//! The cache of jars: bounded, and never wrong bytes.

use std::{path::Path, sync::Arc};

use ferry_bus::{Bus, MemoryBus};
use ferry_events::Digest;
use ferry_installer::effects::{Cache, CacheError};
use ferry_runtime::Hands;

async fn store(bus: &MemoryBus, folder: &Path, text: &str) -> Digest {
    let digest = Digest::of(text.as_bytes());
    let file = folder.join("upload");
    std::fs::write(&file, text).unwrap();
    bus.put_jar(&digest, &file).await.unwrap();
    digest
}

fn open(bus: &MemoryBus, folder: &Path, limit: u64) -> Cache {
    let hands = Hands::new(Arc::new(bus.clone()));
    Cache::open(folder.join("jars"), hands, limit).unwrap()
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("jars")).unwrap().count()
}

#[tokio::test]
async fn a_jar_is_fetched_once_and_a_damaged_one_again() {
    let (bus, folder) = (MemoryBus::default(), tempfile::tempdir().unwrap());
    let one = store(&bus, folder.path(), "one").await;
    let cache = open(&bus, folder.path(), 1000);
    let path = cache.fetch(&one).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    bus.set_connected(false);
    assert_eq!(
        cache.fetch(&one).await.unwrap(),
        path,
        "the bus is not needed"
    );
    bus.set_connected(true);

    std::fs::write(&path, "others").unwrap();
    std::fs::write(folder.path().join("jars/cut-off.part"), "x").unwrap();
    let next_process = open(&bus, folder.path(), 1000);
    next_process.fetch(&one).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn a_jar_that_is_cut_short_or_altered_under_a_running_installer_is_fetched_again() {
    let (bus, folder) = (MemoryBus::default(), tempfile::tempdir().unwrap());
    let one = store(&bus, folder.path(), "the first jar").await;
    let cache = open(&bus, folder.path(), 1000);
    let path = cache.fetch(&one).await.unwrap();
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    // As long as before, cut short, empty, longer: nothing of it goes to a base.
    for (number, damage) in
        (1_u32..).zip(["THE FIRST JAR", "the fir", "", "the first jar and more"])
    {
        std::fs::write(&path, damage).unwrap();
        // On a disk with coarse times the write may have the same; not one that happens later.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(written + std::time::Duration::from_secs(number.into()))
            .unwrap();
        bus.set_connected(true);
        assert_eq!(cache.fetch(&one).await.unwrap(), path);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"the first jar",
            "{damage:?}"
        );
        bus.set_connected(false);
        cache.fetch(&one).await.expect("a whole one needs no bus");
    }
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn the_longest_unused_go_first_and_what_is_in_use_stays() {
    let (bus, folder) = (MemoryBus::default(), tempfile::tempdir().unwrap());
    let cache = open(&bus, folder.path(), 1000);
    for text in ["aaaa", "bbbb", "cccc"] {
        let digest = store(&bus, folder.path(), text).await;
        cache.fetch(&digest).await.unwrap();
    }
    let next_process = open(&bus, folder.path(), 10);
    let kept = Digest::of(b"aaaa");
    next_process.fetch(&kept).await.unwrap();
    let new = store(&bus, folder.path(), "dddd").await;
    next_process.fetch(&new).await.unwrap();
    assert_eq!(files(folder.path()), 2, "what this process uses stays");
    for digest in [kept, new] {
        assert!(folder.path().join(format!("jars/{digest}.jar")).is_file());
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_costs_nothing_that_was_there() {
    let Some(disk) = ferry_rig::disk::SmallDisk::of(1 << 10).unwrap() else {
        return;
    };
    let (bus, folder) = (MemoryBus::default(), tempfile::tempdir().unwrap());
    let cache = open(&bus, disk.path(), 1 << 30);
    let small = store(&bus, folder.path(), "small").await;
    let large = store(&bus, folder.path(), &"large ".repeat(100 << 10)).await;
    let path = cache.fetch(&small).await.unwrap();
    disk.fill().unwrap();
    let full = cache.fetch(&large).await.unwrap_err();
    assert!(matches!(full, CacheError::DiskFull(_)), "{full}");
    let ferry_runtime::Failure::GiveUp(stop) = full.failure() else {
        panic!("a full disk does not pass by itself: {full}");
    };
    assert_eq!(stop.reason, ferry_events::Reason::DiskFull);
    assert_eq!(files(disk.path()), 1, "nothing is left of what did not fit");
    bus.set_connected(false);
    assert_eq!(cache.fetch(&small).await.unwrap(), path);
    bus.set_connected(true);
    disk.free().unwrap();
    let path = cache.fetch(&large).await.unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 6 * (100 << 10));
}

#[tokio::test]
async fn a_jar_that_is_not_in_the_store_is_missing() {
    let (bus, folder) = (MemoryBus::default(), tempfile::tempdir().unwrap());
    let cache = open(&bus, folder.path(), 1000);
    let missing = cache.fetch(&Digest::of(b"nowhere")).await.unwrap_err();
    assert!(matches!(missing, CacheError::Missing(_)), "{missing}");
}
