//! Pushes and commands against real git: every way in which a branch moves, and names that try to be
//! more than names.

mod support;

use std::{fs, process::Command, time::Duration};

use ferry_events::{Body, Reason, RunId, push::Resolution};
use ferry_rig::wait;
use ferry_runtime::Input;

use support::{Branch, Forge, Outside, command, config, push, run_commit};

const FILE: &str = "[builder]\nallow_clone = [\"file\"]";

fn branch(forge: &Forge, name: &str) -> Branch {
    Branch::new(config(&forge.url(), FILE), name)
}

fn modules(changes: &[ferry_events::push::ChangeMerged]) -> Vec<&str> {
    changes
        .iter()
        .map(|change| change.module.as_str())
        .collect()
}

#[tokio::test]
async fn a_branch_moves_forward_and_only_touched_modules_run() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    forge.commit("cart/pom.xml", "1");
    let first = forge.change("main", "prices/pom.xml", "1");
    let (resolved, changes) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Started);
    assert_eq!(resolved.commit.as_deref(), Some(first.as_str()));
    assert_eq!(
        modules(&changes),
        ["cart", "prices"],
        "the first push touches all files"
    );
    assert_eq!(changes[0].run, RunId::of("shop", "main", 1, "cart"));
    assert_eq!(
        (changes[0].order, changes[0].message.as_deref()),
        (1, Some("Change prices/pom.xml"))
    );

    let second = forge.change("main", "cart/A.java", "2");
    let (resolved, changes) = main.push(&outside, push("2", "main", &second)).await;
    assert_eq!(
        (resolved.resolution, modules(&changes)),
        (Resolution::Started, vec!["cart"])
    );
    assert_eq!(changes[0].order, 2);

    let third = forge.change("main", "cart/README.md", "3");
    let (resolved, changes) = main.push(&outside, push("3", "main", &third)).await;
    assert_eq!(
        (resolved.resolution, changes.len()),
        (Resolution::NothingTouched, 0)
    );
}

#[tokio::test]
async fn what_fetches_leave_behind_is_packed_later() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    main.push(&outside, push("1", "main", &first)).await;

    let mirrors = fs::read_dir(outside.folder.path().join("data/mirrors")).expect("a folder");
    let mirror = mirrors.flatten().next().expect("a mirror").path();
    // Each fetch leaves a pack, and two are too many.
    for setting in ["fetch.unpackLimit", "gc.autoPackLimit"] {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&mirror)
            .args(["config", setting, "1"]);
        assert!(command.status().expect("git").success());
    }
    let second = forge.change("main", "cart/A.java", "2");
    main.push(&outside, push("2", "main", &second)).await;
    let third = forge.change("main", "cart/B.java", "3");
    main.push(&outside, push("3", "main", &third)).await;
    let one_pack = async || {
        let files = fs::read_dir(mirror.join("objects/pack"))?.flatten();
        let packs = files.filter(|file| file.path().extension().is_some_and(|it| it == "pack"));
        Ok((packs.count() == 1).then_some(()))
    };
    let packed = wait::until("one pack", Duration::from_secs(60), one_pack);
    packed.await.expect("in time");

    let fourth = forge.change("main", "cart/C.java", "4");
    let (resolved, changes) = main.push(&outside, push("4", "main", &fourth)).await;
    assert_eq!(
        (resolved.resolution, modules(&changes)),
        (Resolution::Started, vec!["cart"])
    );
}

#[tokio::test]
async fn the_same_delivery_and_the_same_head_are_the_same_runs() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    let (started, _) = main.push(&outside, push("1", "main", &first)).await;
    assert!(
        main.tell(support::pushed(push("1", "main", &first)))
            .is_empty(),
        "redelivered: nothing new is said"
    );
    assert!(main.work(&outside).await.is_empty());
    // Two deliveries with different ids for one movement, as forges send for a new branch.
    let (again, changes) = main
        .push(&outside, push("other delivery", "main", &first))
        .await;
    assert_eq!(again.resolution, Resolution::AlreadyThere);
    assert_eq!((again.runs, changes.len()), (started.runs, 0));
}

#[tokio::test]
async fn pushes_out_of_order_lose_nothing() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    main.push(&outside, push("1", "main", &first)).await;
    let second = forge.change("main", "cart/A.java", "2");
    let third = forge.change("main", "prices/pom.xml", "3");
    let (late, changes) = main.push(&outside, push("3", "main", &third)).await;
    assert_eq!(late.resolution, Resolution::Started);
    assert_eq!(
        modules(&changes),
        ["cart", "prices"],
        "it carries the changes of the push that is still on its way"
    );
    let (early, changes) = main.push(&outside, push("2", "main", &second)).await;
    assert_eq!((early.resolution, changes.len()), (Resolution::Outdated, 0));
}

#[tokio::test]
async fn two_quick_pushes_run_one_after_the_other() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    let second = forge.change("main", "cart/pom.xml", "2");
    // The hook of the first comes when the branch is past it already.
    assert_eq!(
        main.push(&outside, push("1", "main", &first))
            .await
            .0
            .resolution,
        Resolution::Started
    );
    assert_eq!(
        main.push(&outside, push("2", "main", &second))
            .await
            .0
            .resolution,
        Resolution::Started
    );
}

#[tokio::test]
async fn a_forced_push_moves_the_head_and_the_line_that_was_given_up_does_not() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    main.push(&outside, push("1", "main", &first)).await;
    let given_up = forge.change("main", "cart/pom.xml", "2");
    main.push(&outside, push("2", "main", &given_up)).await;
    forge.run(&["reset", "--quiet", "--hard", &first]);
    let other = forge.change("main", "prices/pom.xml", "3");
    let (resolved, changes) = main.push(&outside, push("3", "main", &other)).await;
    assert_eq!(resolved.resolution, Resolution::Started);
    assert_eq!(
        modules(&changes),
        ["cart", "prices"],
        "against the old head both differ"
    );
    let (late, _) = main
        .push(&outside, push("2 again", "main", &given_up))
        .await;
    assert_eq!(late.resolution, Resolution::Outdated);

    // Back to the first: a new head, so a new run.
    forge.run(&["reset", "--quiet", "--hard", &first]);
    forge.push("main");
    let (back, changes) = main.push(&outside, push("4", "main", &first)).await;
    assert_eq!(back.resolution, Resolution::Started);
    assert_eq!(changes[0].order, 4);
    assert_ne!(
        changes[0].run,
        RunId::of("shop", "main", 1, &changes[0].module)
    );
}

#[tokio::test]
async fn what_was_forced_away_before_anybody_looked_is_outdated_or_not_found() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    let gone = forge.change("main", "cart/pom.xml", "2");
    forge.run(&["reset", "--quiet", "--hard", &first]);
    forge.push("main");
    let (resolved, _) = main.push(&outside, push("2", "main", &gone)).await;
    assert_eq!(resolved.resolution, Resolution::Outdated, "{resolved:?}");
    let (resolved, _) = main
        .push(&outside, push("3", "main", &"0a".repeat(20)))
        .await;
    assert_eq!(
        resolved.stop.expect("a stop").reason,
        Reason::CommitNotFound
    );
    let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Started);
}

#[tokio::test]
async fn an_annotated_tag_as_the_new_object_is_peeled() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    forge.run(&["tag", "--annotate", "--message", "one", "v1"]);
    let tag = forge.run(&["rev-parse", "v1"]);
    assert_ne!(tag, first);
    forge.run(&["push", "--quiet", &forge.bare().to_string_lossy(), "v1"]);
    let (resolved, changes) = main.push(&outside, push("1", "main", &tag)).await;
    assert_eq!(resolved.commit.as_deref(), Some(first.as_str()));
    assert_eq!(changes[0].commit, first);
}

#[tokio::test]
async fn odd_branch_names_are_names_and_nothing_else() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let first = forge.commit("cart/pom.xml", "1");
    for name in [
        "--upload-pack=touch${IFS}pwned",
        "$(touch${IFS}pwned)",
        "`touch`",
        "a;b",
        "a/b",
        "ünï",
        "--help",
    ] {
        forge.push(name);
        let mut odd = branch(&forge, name);
        let (resolved, changes) = odd.push(&outside, push(name, name, &first)).await;
        assert_eq!(
            resolved.resolution,
            Resolution::Started,
            "{name}: {resolved:?}"
        );
        assert_eq!(changes[0].branch, name);
    }
    for name in ["main:refs/heads/x", "a b", "*", "a..b", "", "a\nb"] {
        let mut odd = branch(&forge, name);
        let (resolved, _) = odd.push(&outside, push(name, name, &first)).await;
        assert_eq!(
            resolved.stop.expect("a stop").reason,
            Reason::CommitNotFound,
            "{name:?}"
        );
    }
    let mut main = branch(&forge, "a/b");
    let (resolved, _) = main
        .push(&outside, push("x", "a/b", "--upload-pack=x"))
        .await;
    assert_eq!(
        resolved.stop.expect("a stop").reason,
        Reason::CommitNotFound
    );
    for folder in [forge.folder.path(), outside.folder.path()] {
        assert!(!folder.join("pwned").exists() && !folder.join("data/git/pwned").exists());
    }
}

#[tokio::test]
async fn a_branch_in_anothers_place_and_a_deleted_one() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let first = forge.commit("cart/pom.xml", "1");
    forge.push("a");
    let (resolved, _) = branch(&forge, "a")
        .push(&outside, push("1", "a", &first))
        .await;
    assert_eq!(resolved.resolution, Resolution::Started);
    let bare = forge.bare().to_string_lossy().into_owned();
    forge.run(&["push", "--quiet", &bare, ":refs/heads/a"]);
    forge.push("a/b");
    let (resolved, _) = branch(&forge, "a/b")
        .push(&outside, push("2", "a/b", &first))
        .await;
    assert_eq!(resolved.resolution, Resolution::Started, "{resolved:?}");
    let (resolved, _) = branch(&forge, "a")
        .push(&outside, push("3", "a", &first))
        .await;
    assert_eq!(resolved.resolution, Resolution::Outdated);
    assert_eq!(resolved.why, "the branch has been deleted");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_said_and_a_redelivery_tries_again() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let first = forge.change("main", "cart/pom.xml", "1");
    let mut main = branch(&forge, "main");
    let moved = forge.folder.path().join("moved.git");
    fs::rename(forge.bare(), &moved).expect("a move");
    let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Failed);
    let stop = resolved.stop.expect("a stop");
    assert_eq!(stop.reason, Reason::FetchFailed);
    assert!(
        stop.detail
            .contains("does not appear to be a git repository"),
        "{stop}"
    );
    fs::rename(&moved, forge.bare()).expect("a move");
    let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
    assert_eq!(resolved.resolution, Resolution::Started);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_never_reaches_git() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let first = forge.change("main", "cart/pom.xml", "1");
    let marker = outside.folder.path().join("pwned");
    for url in [
        forge.url(),
        format!("ext::sh -c touch% {}", marker.display()),
    ] {
        let mut main = Branch::new(config(&url, ""), "main");
        let (resolved, _) = main.push(&outside, push("1", "main", &first)).await;
        assert_eq!(resolved.stop.expect("a stop").reason, Reason::CloneRefused);
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_command_runs_any_commit_that_a_branch_leads_to() {
    let (forge, outside) = (Forge::new(), Outside::new());
    let mut main = branch(&forge, "main");
    let first = forge.change("main", "cart/pom.xml", "1");
    let second = forge.change("main", "cart/pom.xml", "2");
    forge.run(&["tag", "--annotate", "--message", "one", "v1", &first]);
    forge.run(&["push", "--quiet", &forge.bare().to_string_lossy(), "v1"]);
    let never = forge.commit("cart/pom.xml", "never pushed");
    main.push(&outside, push("2", "main", &second)).await;
    for (number, name) in [first.as_str(), &first[..9], "v1", "main~1", "main"]
        .into_iter()
        .enumerate()
    {
        let ask = command(name, 1, run_commit("cart", name, None));
        main.tell(Input::Command(ask.clone().into()));
        let said = main.work(&outside).await;
        let [Body::CommandSettled(settled), Body::ChangeMerged(change)] = said.as_slice() else {
            panic!("{name}: {said:?}")
        };
        assert_eq!(
            (settled.run, settled.stop.as_ref()),
            (Some(RunId::of_command(ask.id, "cart")), None)
        );
        assert_eq!(
            change.commit,
            if name == "main" {
                second.clone()
            } else {
                first.clone()
            }
        );
        assert_eq!(
            (change.order, change.command),
            (number as u64 + 2, Some(ask.id))
        );
        assert_eq!(change.author.as_deref(), Some("operator"));
    }
    for name in [
        never.as_str(),
        "nothing",
        "--all",
        "-n1",
        "",
        "a\nb",
        "v1:cart",
        "HEAD^{tree}",
    ] {
        main.tell(Input::Command(
            command(&format!("no {name}"), 1, run_commit("cart", name, None)).into(),
        ));
        let said = main.work(&outside).await;
        let [Body::CommandSettled(settled)] = said.as_slice() else {
            panic!("{name}: {said:?}")
        };
        assert_eq!(
            settled.stop.as_ref().expect("a stop").reason,
            Reason::CommitNotFound,
            "{name}"
        );
    }
    // The head stayed where its own push put it.
    let (again, _) = main.push(&outside, push("2 again", "main", &second)).await;
    assert_eq!(again.resolution, Resolution::AlreadyThere);
}
