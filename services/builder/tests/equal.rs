//! Warm builds make what cold ones make: a history of real shapes, each commit built both ways, every jar
//! compared entry by entry and byte by byte, apart from when it was made.

mod support;

use std::{collections::BTreeMap, fs, path::Path};

use ferry_events::Stop;
use ferry_rig::maven;
use support::{corpus, shop::Shop, workers::ready};

/// A change of the work clone, and what is expected of a build after it.
struct Change {
    name: &'static str,
    files: Vec<(&'static str, Option<String>)>,
}

/// Writes files, or removes those without a text.
fn change(name: &'static str, files: &[(&'static str, Option<&str>)]) -> Change {
    let files = files
        .iter()
        .map(|(path, text)| (*path, text.map(str::to_owned)));
    Change {
        name,
        files: files.collect(),
    }
}

/// What one way of building made: the entries of its jar, or why there is none.
type Made = Result<BTreeMap<String, String>, Stop>;

async fn made(shop: &Shop, commit: &str) -> (Made, Vec<String>) {
    let (result, log) = shop.build(commit).await;
    let made = match result {
        Ok(built) => Ok(corpus::contents(
            &fs::read(shop.jar(&built).await).expect("a jar"),
        )),
        Err(stop) => Err(stop),
    };
    (made, log)
}

/// Builds each commit both ways at the same time. Gives in how many builds a worker was used again.
async fn compare(warm: &Shop, changes: Vec<Change>) -> usize {
    let cold = warm.twin(|config| config.builder.warm = false);
    let mut commits = vec![("as it begins", warm.first.after.clone())];
    for change in changes {
        for (path, text) in &change.files {
            let file = warm.repository.work().join(path);
            match text {
                Some(text) => {
                    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                    fs::write(&file, text).expect("a file");
                }
                None => fs::remove_file(&file).expect("a file"),
            }
        }
        let push = warm.repository.commit_all(change.name).await;
        commits.push((change.name, push.expect("a commit").after));
    }
    let mut again = 0;
    for (at, (name, commit)) in commits.into_iter().enumerate() {
        // Every other one has its class loaders ready.
        if at % 2 == 0 {
            ready(warm).await;
        }
        let ((warmly, log), (coldly, cold_log)) =
            tokio::join!(made(warm, &commit), made(&cold, &commit));
        let said: Vec<&String> = log
            .iter()
            .filter(|line| line.starts_with("[ferry]"))
            .collect();
        println!("{name}: {said:?}");
        assert!(
            !cold_log.iter().any(|line| line.contains("worker")),
            "{cold_log:#?}"
        );
        again += usize::from(said.iter().any(|line| line.contains("warm: build")));
        same(name, &warmly, &coldly, &log);
    }
    again
}

fn same(name: &str, warm: &Made, cold: &Made, log: &[String]) {
    let (warm, cold) = match (warm, cold) {
        (Ok(warm), Ok(cold)) => (warm, cold),
        (Err(warm), Err(cold)) => {
            assert_eq!(
                (warm.reason, first_line(warm)),
                (cold.reason, first_line(cold)),
                "{name}"
            );
            return;
        }
        (warm, cold) => {
            let (warm, cold) = (warm.as_ref().err(), cold.as_ref().err());
            panic!("{name}: warm {warm:?}, cold {cold:?}\n{log:#?}");
        }
    };
    let names = |made: &BTreeMap<String, String>| made.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(warm), names(cold), "{name}");
    for (entry, text) in warm {
        let other = &cold[entry];
        let differ = text.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert!(text == other, "{name}: {entry}: warm and cold: {differ:?}");
    }
}

fn first_line(stop: &Stop) -> &str {
    stop.detail.lines().next().unwrap_or_default()
}

const MAIN: &str = "src/main/java/ferry/corpus/Main.java";

fn class(name: &str, body: &str) -> String {
    format!("package ferry.corpus;\n@ferry.probe.Listed\npublic class {name} {{ {body} }}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_with_processors_resources_tests_and_plugins_is_the_same() {
    let seed = corpus::seed().await;
    let shop = Shop::of(&seed, &corpus::folder("single"), |_| {}).await;
    let file =
        |path: &str| fs::read_to_string(corpus::folder("single").join(path)).expect("a file");
    let (main, pom) = (file(MAIN), file("pom.xml"));
    let test = file("src/test/java/ferry/corpus/MainTest.java");
    let says = |word: &str| main.replace("\"one \"", &format!("\"{word} \""));
    let changes = vec![
        change("a changed class", &[(MAIN, Some(&says("one more")))]),
        change(
            "a new class, annotated",
            &[(
                "src/main/java/ferry/corpus/Bread.java",
                Some(&class("Bread", "int weight = 500;")),
            )],
        ),
        change(
            "a renamed class",
            &[
                ("src/main/java/ferry/corpus/Bread.java", None),
                (
                    "src/main/java/ferry/corpus/Loaf.java",
                    Some(&class("Loaf", "int weight = 500; class Crust {}")),
                ),
            ],
        ),
        change(
            "a failing compile",
            &[(MAIN, Some(&main.replace("says.run();", "says.run(3);")))],
        ),
        change("a compile mended", &[(MAIN, Some(&says("one again")))]),
        change(
            "a deleted class",
            &[("src/main/java/ferry/corpus/Loaf.java", None)],
        ),
        change(
            "a filtered resource",
            &[(
                "src/main/resources/more.properties",
                Some("name=${project.name}\nzone=${user.timezone}\nlanguage=${user.language}\n"),
            )],
        ),
        change("a failing test", &[(MAIN, Some(&says("two")))]),
        change(
            "a test mended",
            &[(
                "src/test/java/ferry/corpus/MainTest.java",
                Some(&test.replace("\"one\"", "\"two\"")),
            )],
        ),
        change(
            "another template",
            &[(
                "src/main/templates/Made.txt",
                Some(
                    "package ferry.corpus;\npublic interface Made { String WHERE = \"@basedir@/x\"; }\n",
                ),
            )],
        ),
        change(
            "a changed dependency",
            &[(
                "pom.xml",
                Some(&pom.replace(
                    "<artifactId>money</artifactId>\n      <version>1<",
                    "<artifactId>money</artifactId>\n      <version>2<",
                )),
            )],
        ),
        change(
            "resources that go",
            &[
                ("src/main/resources/more.properties", None),
                ("src/main/resources/deep/er/text.txt", Some("${basedir}")),
            ],
        ),
        change("another class again", &[(MAIN, Some(&says("two again")))]),
        change("the old dependency", &[("pom.xml", Some(&pom))]),
    ];
    let again = compare(&shop, changes).await;
    assert!(again >= 7, "a worker was used again only {again} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_modules_of_one_build_are_the_same() {
    let seed = corpus::seed().await;
    let shop = Shop::of(&seed, &corpus::folder("multi"), |config| {
        config.modules.get_mut("hello").expect("hello").jar = "app/target/*-ark-biz.jar".into();
    })
    .await;
    let changes = vec![
        change(
            "a constant of the other module",
            &[(
                "core/src/main/java/ferry/corpus/core/Price.java",
                Some(
                    "package ferry.corpus.core;\npublic class Price { public static final int LEAST = 7;\n\
                     public int of(String what) { return LEAST; } }\n",
                ),
            )],
        ),
        change(
            "a class that is there in both",
            &[
                (
                    "core/src/main/java/ferry/corpus/core/Tax.java",
                    Some("package ferry.corpus.core;\npublic record Tax(int percent) {}\n"),
                ),
                (
                    "app/src/main/java/ferry/corpus/app/App.java",
                    Some(
                        "package ferry.corpus.app;\nimport ferry.corpus.core.*;\npublic class App {\n\
                         public static void main(String[] words) { System.out.println(new Tax(Price.LEAST)); } }\n",
                    ),
                ),
            ],
        ),
        change(
            "a class that moves to the other module",
            &[
                ("core/src/main/java/ferry/corpus/core/Tax.java", None),
                (
                    "app/src/main/java/ferry/corpus/core/Tax.java",
                    Some("package ferry.corpus.core;\npublic record Tax(int percent) {}\n"),
                ),
            ],
        ),
        change(
            "options of the project's own",
            &[
                (".mvn/jvm.config", Some("-Dprobe.jvm=yes -Xss2m\n")),
                (".mvn/maven.config", Some("-Dprobe.maven=yes\n")),
            ],
        ),
        change(
            "another resource",
            &[("app/src/main/resources/text.txt", Some("two"))],
        ),
    ];
    let again = compare(&shop, changes).await;
    assert!(again >= 4, "a worker was used again only {again} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_in_a_folder_of_its_repository_is_the_same() {
    let seed = corpus::seed().await;
    let place = tempfile::tempdir().expect("a folder");
    let cart = place.path().join("shops/cart");
    ferry_rig::digest::copy_over(&corpus::folder("plain"), &cart).expect("a copy");
    let shop = Shop::of(&seed, place.path(), |config| {
        config.modules.get_mut("hello").expect("hello").path = "./shops/cart".into();
    })
    .await;
    let main = "shops/cart/src/main/java/ferry/corpus/Main.java";
    let says = |word: &str| {
        format!(
            "package ferry.corpus;\npublic class Main {{ public static void main(String[] words) {{\n\
             System.out.println(\"{word}\"); }} }}\n"
        )
    };
    let changes = vec![
        change("a changed class", &[(main, Some(&says("bread")))]),
        change(
            "files around it",
            &[
                ("shops/list.txt", Some("cart")),
                (".mvn/maven.config", Some("-Dprobe.maven=root\n")),
                (main, Some(&says("milk"))),
            ],
        ),
        change("a changed class again", &[(main, Some(&says("tea")))]),
    ];
    let again = compare(&shop, changes).await;
    assert!(again >= 2, "a worker was used again only {again} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_module_of_the_demo_is_the_same() {
    // The seed is copied whole, so it must not be changing.
    corpus::seed().await;
    let shop = Shop::new(|_| {}).await;
    let laid = |name: &str, path: &str| {
        let file = maven::change_dir(name).join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let changes: Vec<Change> = ["version-two", "answers-500", "context-fails"]
        .into_iter()
        .map(|name| {
            let files = ferry_rig::digest::files(&maven::change_dir(name)).expect("files");
            let files = files
                .keys()
                .filter(|path| Path::new(path) != Path::new("pom.xml"));
            Change {
                name,
                files: files
                    .map(|path| (&*path.clone().leak(), Some(laid(name, path))))
                    .collect(),
            }
        })
        .collect();
    let again = compare(&shop, changes).await;
    assert!(again >= 3, "a worker was used again only {again} times");
}
