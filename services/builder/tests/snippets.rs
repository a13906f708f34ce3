//! Snippets, compiled for real against the demo's base: what becomes a jar, what does not and where it is wrong,
//! what bounds them, and that nothing of a base or a snippet runs in the compiler.

mod support;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ferry_builder::{BuilderEffects, Places, decide::build::Built};
use ferry_bus::Bus;
use ferry_config::{Config, Snippets};
use ferry_events::{Reason, RunId, SourceError, Stop, ids};
use ferry_rig::{maven, tools};
use ferry_runtime::{Hands, Notes};
use support::{Forge, Outside};

/// Far more than a snippet takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

const GREETING: &str = "package acme;\npublic class Hi implements ferry.demo.base.Greeter {\n    \
     public String greet(String name) {\n        return \"hi, \" + name;\n    }\n}\n";

/// A snippet in a repository, and a builder.
struct Desk {
    outside: Outside,
    forge: Forge,
    config: Config,
}

impl Desk {
    async fn new(more: &str) -> Self {
        Self::against(&maven::base_jar().await.expect("the demo's base"), more)
    }

    fn against(base_jar: &Path, more: &str) -> Self {
        let forge = Forge::new();
        let text = format!(
            r#"
            [builder]
            allow_clone = ["file"]
            {more}
            [repositories.shop]
            url = "{}"
            forge = "github"
            secret = "env:HOOK"
            [modules.tip]
            repository = "shop"
            path = "tip"
            build = "snippet"
            [environments.prod]
            [pools.prod]
            environment = "prod"
            base_jar = "{}"
            "#,
            forge.url(),
            base_jar.display()
        );
        Self {
            outside: Outside::new(),
            forge,
            config: toml::from_str(&text).expect("a configuration"),
        }
    }

    /// Commits a file of the snippet.
    fn change(&self, file: &str, text: &str) -> String {
        self.forge.change("main", &format!("tip/{file}"), text)
    }

    /// Builds a commit; what came of it, and the log.
    async fn build(&self, commit: &str) -> (Result<Built, Stop>, Vec<String>) {
        let run = RunId(ids::derive("test-run", &[commit]));
        let names = ("tip", "shop", "main");
        self.outside
            .build(&self.config, names, commit, run, LIMIT)
            .await
    }

    async fn stops(&self, commit: &str) -> Stop {
        let (result, log) = self.build(commit).await;
        result.expect_err(&log.join("\n"))
    }

    /// A jar's entries.
    async fn entries(&self, built: &Built) -> BTreeMap<String, Vec<u8>> {
        let jar = self.outside.folder.path().join("fetched.jar");
        let got = self.outside.bus.get_jar(&built.digest, &jar).await;
        got.expect("the jar is in the store");
        let mut zip = zip::ZipArchive::new(File::open(&jar).expect("a file")).expect("a zip");
        let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
        let mut entries = BTreeMap::new();
        for name in names {
            let mut bytes = Vec::new();
            let mut entry = zip.by_name(&name).expect("an entry");
            entry.read_to_end(&mut bytes).expect("bytes");
            entries.insert(name, bytes);
        }
        entries
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snippet_becomes_a_module_and_the_same_source_the_same_bytes() {
    let desk = Desk::new("").await;
    let first = desk.change("Hi.java", GREETING);
    let (built, log) = desk.build(&first).await;
    let built = built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    assert_eq!(
        (built.biz.name.as_str(), built.biz.version.as_str()),
        ("tip", "1.0.0")
    );
    let entries = desk.entries(&built).await;
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "META-INF/MANIFEST.MF",
            "acme/FerryEntry.class",
            "acme/Hi.class"
        ]
    );
    let manifest = String::from_utf8(entries["META-INF/MANIFEST.MF"].clone()).expect("text");
    assert!(
        manifest.contains("Main-Class: acme.FerryEntry\r\n"),
        "{manifest}"
    );
    assert!(
        log.iter()
            .any(|line| line.contains("the base gets acme.Hi")),
        "{log:#?}"
    );

    // Another commit with the same sources, by a compiler that is warm; and another builder altogether.
    let again = desk.change("README.md", "Nothing to compile.");
    let (warm, log) = desk.build(&again).await;
    assert_eq!(warm.expect("a jar").digest, built.digest);
    assert!(
        !log.iter().any(|line| line.contains("started in")),
        "one compiler serves both: {log:#?}"
    );
    let other = Desk::new("").await;
    let commit = other.change("Hi.java", GREETING);
    let (cold, _) = other.build(&commit).await;
    assert_eq!(cold.expect("a jar").digest, built.digest);
    // What it says is in the bytes.
    let changed = desk.change("Hi.java", &GREETING.replace("hi, ", "good day, "));
    let (changed, _) = desk.build(&changed).await;
    assert_ne!(changed.expect("a jar").digest, built.digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_gets_ready_before_the_first_push_and_says_when_it_cannot() {
    let mut desk = Desk::new("").await;
    let notes = Notes::default();
    let places = Places {
        data_dir: desk.outside.folder.path().join("noting"),
        secrets_root: desk.outside.folder.path().to_path_buf(),
    };
    let hands = Hands::new(Arc::new(desk.outside.bus.clone()));
    desk.outside.effects = BuilderEffects::noting(places, hands, notes.clone()).expect("effects");
    let mut broken = desk.config.clone();
    for pool in broken.pools.values_mut() {
        pool.base_jar = Some("/nowhere/base.jar".into());
    }
    desk.outside.effects.get_ready(&broken).await;
    let said = notes.all().join("\n");
    assert!(
        said.contains("snippets cannot be compiled: no-base-jar: /nowhere/base.jar"),
        "{said}"
    );
    desk.outside.effects.get_ready(&desk.config).await;
    assert_eq!(notes.all(), Vec::<String>::new());
    let commit = desk.change("Hi.java", GREETING);
    let (built, log) = desk.build(&commit).await;
    built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    assert!(
        !log.iter().any(|line| line.contains("started in")),
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sources_are_wrong_is_told_by_file_line_and_column() {
    let desk = Desk::new("").await;
    desk.change(
        "Other.java",
        "package acme;\nclass Other {\n\tint a = \"x\";\n}\n",
    );
    let commit = desk.change(
        "Hi.java",
        "package acme;\npublic class Hi {\n    Foo foo;\n    void m() { bar(); }\n}\n",
    );
    let stop = desk.stops(&commit).await;
    assert_eq!(stop.reason, Reason::DoesNotCompile);
    let at = |error: &SourceError| (error.file.clone(), error.line, error.column);
    let places: Vec<_> = stop.errors.iter().map(at).collect();
    let hi = |line, column| ("tip/Hi.java".to_owned(), line, column);
    assert_eq!(
        places,
        [hi(3, 5), hi(4, 16), ("tip/Other.java".to_owned(), 3, 10)]
    );
    assert_eq!(
        stop.detail.lines().next(),
        Some("tip/Hi.java:3:5: cannot find symbol; symbol:   class Foo; location: class acme.Hi")
    );
    // The log has it too.
    let commit = desk.change("Hi.java", "package acme;\npublic class Hi { int a }\n");
    let (result, log) = desk.build(&commit).await;
    let first = result.expect_err("no jar").errors[0].to_string();
    assert_eq!(first, "tip/Hi.java:2:24: ';' expected");
    assert!(log.contains(&first), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snippet_that_the_base_could_not_call_is_told_what_there_is() {
    let desk = Desk::new("").await;
    let commit = desk.change(
        "Hi.java",
        "package acme;\nclass Hi implements ferry.demo.base.Greeter {\n    \
         public String greet(String name) { return name; }\n    \
         public static class In implements Runnable { public void run() {} }\n}\n",
    );
    let stop = desk.stops(&commit).await;
    assert_eq!(stop.reason, Reason::ImplementsNothing);
    assert_eq!(
        stop.detail,
        "acme.Hi implements ferry.demo.base.Greeter and is not public\n\
         the base's own interfaces: ferry.demo.base.Greeter"
    );
    // Without a package, nested, inherited and generated: all of them are made by the entry.
    let commit = desk.change(
        "Hi.java",
        "public class Hi {\n    public static class One implements ferry.demo.base.Greeter {\n        \
         public String greet(String name) { return name; }\n    }\n    \
         public static class Two extends One {}\n    \
         public record Three() implements ferry.demo.base.Greeter {\n        \
         public String greet(String name) { return name; }\n    }\n}\n",
    );
    let (built, log) = desk.build(&commit).await;
    let entries = desk
        .entries(&built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}")))
        .await;
    assert!(
        entries.contains_key("FerryEntry.class"),
        "{:?}",
        entries.keys()
    );
    assert!(
        log.iter()
            .any(|line| line.contains("the base gets Hi.One, Hi.Three, Hi.Two")),
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_a_limit_or_lacks_something_is_not_compiled() {
    let desk = Desk::new("[builder.snippets]\nfiles = 2\nsize = \"1KiB\"\n").await;
    let empty = desk.change("README.md", "no Java");
    assert_eq!(desk.stops(&empty).await.reason, Reason::NoSources);
    let large = desk.change("Hi.java", &format!("{GREETING}// {}", "x".repeat(1024)));
    let stop = desk.stops(&large).await;
    assert_eq!(stop.reason, Reason::SnippetTooLarge);
    assert!(
        stop.detail.contains("[builder.snippets] size is 1024"),
        "{stop}"
    );
    desk.change("Hi.java", GREETING);
    desk.change("A.java", "class A {}");
    let many = desk.change("B.java", "class B {}");
    let stop = desk.stops(&many).await;
    assert_eq!(stop.reason, Reason::SnippetTooLarge);
    assert!(stop.detail.contains("it has 3 Java files"), "{stop}");

    let latin = Desk::new("").await;
    let path = latin.forge.work().join("tip");
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("Hi.java"), b"class Hi {} // caf\xe9").expect("a file");
    let stop = latin.stops(&latin.change("A.java", "class A {}")).await;
    assert_eq!(stop.detail, "tip/Hi.java: it is not UTF-8");

    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile.json");
    fs::write(&profile, "{\"format\": 2}").expect("a file");
    for (jar, why) in [
        (profile, "a profile as JSON holds no classes"),
        (folder.path().join("gone.jar"), "No such file"),
    ] {
        let desk = Desk::against(&jar, "");
        let stop = desk.stops(&desk.change("Hi.java", GREETING)).await;
        assert_eq!(stop.reason, Reason::NoBaseJar);
        assert!(stop.detail.contains(why), "{stop}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_read_as_it_is_in_the_commit() {
    let desk = Desk::new("").await;
    let work = desk.forge.work().join("tip");
    fs::create_dir_all(work.join("deep/er")).expect("a folder");
    // One by one: empty, without an end of its last line, twice the same, and with what git says between two files.
    let mark = format!("// {} blob 12", "0123456789abcdef".repeat(3).split_at(40).0);
    let files = [
        ("Empty.java", String::new()),
        ("NoEnd.java", "class NoEnd {}".to_owned()),
        ("deep/Same.java", "// the same\n".to_owned()),
        ("deep/er/Same.java", "// the same\n".to_owned()),
        ("Mark.java", format!("{mark}\nclass Mark {{}}\n\n{mark}")),
        ("Ünï cödé.java", "// caf\u{e9}\nclass Named {}\n".to_owned()),
    ];
    let mut size = GREETING.len();
    for (path, text) in &files {
        size += text.len();
        fs::write(work.join(path), text).expect("a file");
    }
    // A link is none of them, wherever it leads; nor is what is beside the folder.
    std::os::unix::fs::symlink("/etc/hostname", work.join("Link.java")).expect("a link");
    fs::write(desk.forge.work().join("tip.java"), "class").expect("a file");
    let commit = desk.change("Hi.java", GREETING);
    let (built, log) = desk.build(&commit).await;
    let built = built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    let wanted = format!("{} Java files of {size} bytes", files.len() + 1);
    assert!(log.iter().any(|line| line.contains(&wanted)), "{log:#?}");
    let entries = desk.entries(&built).await;
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "META-INF/MANIFEST.MF",
            "Mark.class",
            "Named.class",
            "NoEnd.class",
            "acme/FerryEntry.class",
            "acme/Hi.class"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_mirror_has_lost_is_fetched_again() {
    let desk = Desk::new("").await;
    let commit = desk.change("Hi.java", GREETING);
    let (whole, _) = desk.build(&commit).await;
    let whole = whole.expect("a jar");
    let object = desk
        .forge
        .run(&["rev-parse", &format!("{commit}:tip/Hi.java")]);
    let mirrors = desk.outside.folder.path().join("data/mirrors");
    // Not one that was set aside.
    let mirror = || {
        let entries = fs::read_dir(&mirrors).expect("a folder").flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|end| end == "git"))
    };
    for (what, damaged) in [
        ("gone", None),
        ("empty", Some("")),
        ("garbage", Some("garbage")),
    ] {
        let mirror = mirror().expect("a mirror");
        let file = mirror.join("objects").join(&object[..2]).join(&object[2..]);
        fs::remove_file(&file).expect("a loose object");
        if let Some(bytes) = damaged {
            fs::write(&file, bytes).expect("a file");
        }
        let (built, log) = desk.build(&commit).await;
        let built = built.unwrap_or_else(|stop| panic!("{what}: {stop}\n{log:#?}"));
        assert_eq!(built.digest, whole.digest, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compiler_tries_itself_with_what_is_new_to_it_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let jar = folder.path().join("base.jar");
    fs::copy(maven::base_jar().await.expect("the demo's base"), &jar).expect("a copy");
    let mut desk = Desk::against(&jar, "");
    let effects = desk.outside.effects.clone();
    assert_eq!(effects.get_ready(&desk.config).await, 4, "a new compiler");
    assert_eq!(effects.get_ready(&desk.config).await, 0, "the same again");
    // Another module and other words about the base are nothing new to a compiler; nor is the same jar, written anew.
    let tip = desk.config.modules["tip"].clone();
    desk.config.modules.insert("other".into(), tip);
    desk.config.builder.timeout *= 2;
    fs::write(&jar, fs::read(&jar).expect("a jar")).expect("a file");
    assert_eq!(effects.get_ready(&desk.config).await, 0);
    // Another base is, and only that.
    let second = trapped(&jar, &folder.path().join("second"));
    let mut pool = desk.config.pools["prod"].clone();
    pool.base_jar = Some(second);
    desk.config.pools.insert("second".into(), pool);
    let pools = |names: [&str; 1]| Some(names.map(str::to_owned).into());
    for (module, pool) in [("tip", "prod"), ("other", "second")] {
        let module = desk.config.modules.get_mut(module).expect("a module");
        module.pools = pools([pool]);
    }
    assert_eq!(effects.get_ready(&desk.config).await, 1, "a new base");
    assert_eq!(effects.get_ready(&desk.config).await, 0);
    // Snippets make a compiler warm as well as its tries do.
    desk.config.builder.snippets.memory += 1024 * 1024;
    let commit = desk.change("Hi.java", GREETING);
    for run in 0..3 {
        let (built, log) = desk.build(&commit).await;
        built.unwrap_or_else(|stop| panic!("{run}: {stop}\n{log:#?}"));
    }
    assert_eq!(
        effects.get_ready(&desk.config).await,
        1 + 1,
        "the fourth time, and a base that the new compiler does not know"
    );
}

/// Half a megabyte of lambdas that all have to be inferred: seconds, and more than a small heap holds.
fn heavy() -> String {
    let method = |number| {
        format!(
            "    java.util.List<String> m{number}(java.util.List<Integer> given) {{ return given.stream()\
             .map(x -> \"a\" + x).filter(x -> x.length() > {number}).toList(); }}\n"
        )
    };
    let methods: String = (0..3000).map(method).collect();
    format!("package acme;\nclass Heavy {{\n{methods}}}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_over_its_limits_is_killed_and_the_next_snippet_has_another() {
    let mut desk = Desk::new("").await;
    let heavy = desk.change("Heavy.java", &heavy());
    desk.config.builder.snippets.timeout = Duration::from_millis(100);
    let stop = desk.stops(&heavy).await;
    assert_eq!(stop.reason, Reason::BuildTimeout, "{stop}");
    assert!(stop.detail.contains("[builder.snippets] timeout"), "{stop}");

    desk.config.builder.snippets = Snippets {
        memory: 128 * 1024 * 1024,
        ..Snippets::default()
    };
    let stop = desk.stops(&heavy).await;
    assert_eq!(stop.reason, Reason::BuildFailed, "{stop}");
    assert!(
        stop.detail.contains("[builder.snippets] memory is 128 MiB"),
        "{stop}"
    );

    // One that the compiler itself fails at costs nobody else anything.
    desk.config.builder.snippets = Snippets::default();
    let deep = format!(
        "class Deep {{ int x = {}1{}; }}",
        "(".repeat(50_000),
        ")".repeat(50_000)
    );
    let stop = desk.stops(&desk.change("Heavy.java", &deep)).await;
    assert_eq!(stop.reason, Reason::BuildFailed, "{stop}");
    assert!(stop.detail.contains("StackOverflowError"), "{stop}");
    desk.forge.run(&["rm", "--quiet", "tip/Heavy.java"]);
    let good = desk.change("Hi.java", GREETING);
    let (built, log) = desk.build(&good).await;
    built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    assert!(
        !log.iter().any(|line| line.contains("started in")),
        "{log:#?}"
    );
}

/// The demo's base with one more library, in which a processor and a plugin of javac break whatever loads them.
fn trapped(base: &Path, folder: &Path) -> PathBuf {
    let classes = folder.join("classes");
    fs::create_dir_all(&classes).expect("a folder");
    let service = |name: &str, class: &str| {
        let file = classes.join("META-INF/services").join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, class).expect("a file");
    };
    let sources = [
        (
            "Trap.java",
            "@javax.annotation.processing.SupportedAnnotationTypes(\"*\")\n\
             public class Trap extends javax.annotation.processing.AbstractProcessor {\n\
             static { System.err.println(\"the processor ran\"); System.exit(9); }\n\
             public boolean process(java.util.Set<? extends javax.lang.model.element.TypeElement> a, \
             javax.annotation.processing.RoundEnvironment b) { return false; } }",
        ),
        (
            "Plug.java",
            "public class Plug implements com.sun.source.util.Plugin {\n\
             static { System.err.println(\"the plugin ran\"); System.exit(9); }\n\
             public String getName() { return \"plug\"; }\n\
             public boolean autoStart() { return true; }\n\
             public void init(com.sun.source.util.JavacTask task, String... words) {} }",
        ),
    ];
    let javac = tools::jdk().expect("a JDK").home.join("bin/javac");
    for (file, text) in sources {
        let file = folder.join(file);
        fs::write(&file, text).expect("a file");
        let compiled = Command::new(&javac)
            .arg("-d")
            .args([&classes, &file])
            .status();
        assert!(compiled.expect("javac").success());
    }
    service("javax.annotation.processing.Processor", "Trap");
    service("com.sun.source.util.Plugin", "Plug");

    // The trap works: a plain javac with that class path falls into it.
    let probe = folder.join("Probe.java");
    fs::write(&probe, "class Probe {}").expect("a file");
    let fell = Command::new(&javac)
        .arg("-cp")
        .args([&classes, Path::new("-d"), folder, &probe])
        .output()
        .expect("javac");
    assert_eq!(fell.status.code(), Some(9));

    let mut library = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in [
        "Trap.class",
        "Plug.class",
        "META-INF/services/javax.annotation.processing.Processor",
        "META-INF/services/com.sun.source.util.Plugin",
    ] {
        library
            .start_file(name, zip::write::SimpleFileOptions::default())
            .expect("an entry");
        let bytes = fs::read(classes.join(name)).expect("a file");
        library.write_all(&bytes).expect("bytes");
    }
    let library = library.finish().expect("a zip").into_inner();
    let trapped = folder.join("base.jar");
    fs::copy(base, &trapped).expect("a copy");
    let file = File::options().read(true).write(true).open(&trapped);
    let mut jar = zip::ZipWriter::new_append(file.expect("a file")).expect("a zip");
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    jar.start_file("BOOT-INF/lib/trap-1.0.jar", stored)
        .expect("an entry");
    jar.write_all(&library).expect("bytes");
    jar.finish().expect("a zip");
    trapped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_on_the_class_path_runs_in_the_compiler() {
    let base = maven::base_jar().await.expect("the demo's base");
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::against(&trapped(&base, folder.path()), "");
    let commit = desk.change(
        "Hi.java",
        &GREETING.replace("public class", "@Deprecated public class"),
    );
    let (built, log) = desk.build(&commit).await;
    built.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    assert!(!log.iter().any(|line| line.contains("ran")), "{log:#?}");
}
