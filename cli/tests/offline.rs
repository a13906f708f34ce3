//! The real binary, without a gateway: init, config, tokens, keys, help, codes.
//!
//! In: arguments in an empty folder. Out: files, words, exit codes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn ferry(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry"));
    for name in [
        "FERRY_URL",
        "FERRY_TOKEN",
        "FERRY_BUS",
        "FERRY_CREDENTIALS",
        "FERRY_NATS_SERVER",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(dir)
        .args(args)
        .output()
        .expect("ferry runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("a code")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn init_writes_what_check_takes_and_its_token_is_known() {
    let dir = folder();
    let url = "https://git.example/acme/Hello_World.git";
    let made = ferry(dir.path(), &["init", "--repository", url]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    for words in [
        "ferry config check",
        "ferry up",
        ".ferry/token",
        "secrets/hello-world",
    ] {
        assert!(out(&made).contains(words), "{words} in {}", out(&made));
    }

    let loaded = ferry_config::load(&dir.path().join("ferry.toml")).expect("it is good");
    assert_eq!(
        loaded.config.modules.keys().collect::<Vec<_>>(),
        ["hello-world"]
    );
    let token_file = dir.path().join(".ferry/token");
    let token = fs::read_to_string(&token_file).expect("a token");
    let (name, _) = loaded
        .config
        .token(token.trim())
        .expect("the token is known");
    assert_eq!(name, "admin");
    assert_eq!(mode(&token_file), 0o600);
    assert_eq!(mode(&dir.path().join("secrets/hello-world")), 0o600);
    assert!(
        !fs::read_to_string(dir.path().join("ferry.toml"))
            .expect("text")
            .contains(token.trim())
    );

    let checked = ferry(dir.path(), &["config", "check"]);
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    assert!(out(&checked).contains("1 module"), "{}", out(&checked));
}

#[test]
fn init_overwrites_nothing() {
    let dir = folder();
    fs::write(dir.path().join("ferry.toml"), "mine").expect("written");
    let made = ferry(dir.path(), &["init"]);
    assert_eq!(code(&made), 1);
    assert!(
        err(&made).contains("ferry.toml is there already"),
        "{}",
        err(&made)
    );
    assert!(err(&made).contains("next:"), "{}", err(&made));
    assert_eq!(
        fs::read_to_string(dir.path().join("ferry.toml")).expect("text"),
        "mine"
    );
    assert!(
        !dir.path().join(".ferry").exists(),
        "nothing is made before it is sure"
    );
}

#[test]
fn init_keeps_a_token_that_is_there() {
    let dir = folder();
    assert_eq!(code(&ferry(dir.path(), &["init"])), 0);
    let before = fs::read_to_string(dir.path().join(".ferry/token")).expect("a token");
    fs::remove_file(dir.path().join("ferry.toml")).expect("removed");
    assert_eq!(code(&ferry(dir.path(), &["init"])), 0);
    let after = fs::read_to_string(dir.path().join(".ferry/token")).expect("a token");
    assert_eq!(before, after);
    let loaded = ferry_config::load(&dir.path().join("ferry.toml")).expect("it is good");
    assert!(loaded.config.token(after.trim()).is_some());
}

#[test]
fn init_refuses_what_git_must_not_see() {
    let dir = folder();
    for (module, url) in [
        ("hello", "ext::sh -c evil"),
        ("Hello!", "https://git.example/acme/hello.git"),
        ("hello", "https://ada:secret@git.example/acme/hello.git"),
    ] {
        let made = ferry(
            dir.path(),
            &["init", "--module", module, "--repository", url],
        );
        assert_eq!(code(&made), 2, "{url}: {}", err(&made));
        assert!(!err(&made).contains("secret@"), "{}", err(&made));
        assert!(!dir.path().join("ferry.toml").exists());
    }
}

#[test]
fn check_says_all_errors_with_their_places() {
    let dir = folder();
    assert_eq!(code(&ferry(dir.path(), &["init"])), 0);
    let path = dir.path().join("ferry.toml");
    let text = fs::read_to_string(&path).expect("text");
    fs::write(
        &path,
        text.replace("repository = \"hello\"", "repositry = \"hello\"")
            .replace("forge = \"github\"", "forge = \"githup\""),
    )
    .expect("written");

    let checked = ferry(dir.path(), &["config", "check"]);
    assert_eq!(code(&checked), 1);
    let said = err(&checked);
    for words in [
        "ferry.toml:",
        "did you mean \"repository\"?",
        "githup",
        "errors",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }

    let checked = ferry(dir.path(), &["config", "check", "--json"]);
    assert_eq!(code(&checked), 1);
    let json: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(json["ok"], false);
    let found = json["diagnostics"].as_array().expect("a list");
    assert!(
        found.len() >= 2 && found.iter().all(|it| it["line"].as_u64() > Some(0)),
        "{json}"
    );
}

#[test]
fn check_of_a_file_that_is_not_there() {
    let dir = folder();
    let checked = ferry(dir.path(), &["config", "check"]);
    assert_eq!(code(&checked), 1);
    assert!(err(&checked).contains("ferry init"), "{}", err(&checked));
}

#[test]
fn a_new_token_is_shown_once_with_the_lines_of_its_hash() {
    let dir = folder();
    let args = [
        "token",
        "new",
        "ci",
        "--role",
        "operate",
        "--module",
        "hello*",
        "--environment",
        "pre",
    ];
    let made = ferry(dir.path(), &args);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let text = out(&made);
    let token = text.lines().next().expect("the token first");
    assert!(
        token.starts_with("ferry_") && token.len() == 6 + 43,
        "{token}"
    );
    assert!(text.contains(&ferry_config::hash_token(token)));

    assert_eq!(code(&ferry(dir.path(), &["init"])), 0);
    let path = dir.path().join("ferry.toml");
    let toml = text.split_once("ferry.toml:\n").expect("the lines").1;
    let whole = fs::read_to_string(&path).expect("text") + toml;
    fs::write(&path, whole).expect("written");
    let config = ferry_config::load(&path).expect("the lines fit").config;
    let (name, found) = config.token(token).expect("known");
    assert_eq!(
        (name, found.grants[0].modules[0].as_str()),
        ("ci", "hello*")
    );

    let other = ferry(dir.path(), &["token", "new", "ci", "--json"]);
    let json: Value = serde_json::from_slice(&other.stdout).expect("JSON");
    assert_ne!(json["token"], token, "each is another");
    assert_eq!(code(&ferry(dir.path(), &["token", "new", "C I"])), 2);
}

#[test]
fn keys_and_server_configuration_for_a_bus_elsewhere() {
    let dir = folder();
    let args = [
        "bus",
        "users",
        "--dir",
        "keys",
        "--server-config",
        "nats.conf",
        "--host",
        "0.0.0.0",
        "--store-dir",
        "/data",
        "--json",
    ];
    let made = ferry(dir.path(), &args);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let keys: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(
        keys.as_array().map(Vec::len),
        Some(7),
        "six services and the operator"
    );
    let conf = fs::read_to_string(dir.path().join("nats.conf")).expect("text");
    assert!(
        conf.contains("sync_interval: always") && conf.contains("0.0.0.0"),
        "{conf}"
    );
    for key in keys.as_array().expect("a list") {
        let file = dir.path().join(key["seed_file"].as_str().expect("a path"));
        assert_eq!(mode(&file), 0o600);
        let seed = fs::read_to_string(&file).expect("a seed");
        assert!(
            !conf.contains(seed.trim()),
            "a seed never reaches the server"
        );
        assert!(conf.contains(key["public_key"].as_str().expect("a key")));
    }
    let again = ferry(dir.path(), &args);
    assert_eq!(again.stdout, made.stdout, "keys that are there stay");
}

#[test]
fn completions_name_the_commands() {
    let dir = folder();
    for shell in ["bash", "zsh", "fish"] {
        let made = ferry(dir.path(), &["completions", shell]);
        assert_eq!(code(&made), 0);
        for command in ["rollback", "completions", "watch"] {
            assert!(out(&made).contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(code(&ferry(dir.path(), &["completions", "tcsh"])), 2);
}

#[test]
fn help_has_the_table_of_exit_codes_and_every_command_an_example() {
    let dir = folder();
    let help = out(&ferry(dir.path(), &["--help"]));
    for exit in ferry_cli::exit::Exit::ALL {
        assert!(
            help.contains(&format!("  {}  {}", exit.code(), exit.meaning())),
            "{help}"
        );
    }
    examples(&ferry_cli::command());
    assert!(out(&ferry(dir.path(), &["--version"])).starts_with("ferry 0."));
    assert_eq!(code(&ferry(dir.path(), &[])), 2);
    assert_eq!(code(&ferry(dir.path(), &["rnus"])), 2);
}

fn examples(command: &clap::Command) {
    for sub in command.get_subcommands() {
        if sub.has_subcommands() {
            examples(sub);
        } else {
            let help = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("Examples:"),
                "{} has no example",
                sub.get_name()
            );
        }
    }
}

#[test]
fn a_gateway_that_is_not_there() {
    let dir = folder();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let looked = ferry(dir.path(), &["runs", "--gateway", &url]);
    assert_eq!(code(&looked), 3, "{}", err(&looked));
    assert!(
        err(&looked).contains("cannot reach the gateway"),
        "{}",
        err(&looked)
    );
    assert_eq!(
        code(&ferry(dir.path(), &["runs", "--gateway", "ftp://x"])),
        2
    );
    assert_eq!(
        code(&ferry(dir.path(), &["show", "1a2"])),
        2,
        "too few digits"
    );
    assert_eq!(code(&ferry(dir.path(), &["runs", "--state", "lost"])), 2);
}

#[test]
fn up_says_what_is_wrong_before_it_starts_anything() {
    let dir = folder();
    let without = ferry(dir.path(), &["up"]);
    assert_eq!(code(&without), 1);
    assert!(err(&without).contains("ferry init"), "{}", err(&without));

    fs::write(dir.path().join("ferry.toml"), "[gatway]\n").expect("written");
    let wrong = ferry(dir.path(), &["up"]);
    assert_eq!(code(&wrong), 1);
    assert!(
        err(&wrong).contains("did you mean \"gateway\"?"),
        "{}",
        err(&wrong)
    );
    assert!(!dir.path().join(".ferry").exists());
}

#[test]
fn slim_of_files_that_are_none() {
    let dir = folder();
    let args = ["slim", "a.jar", "--base", "base.jar", "-o", "out.jar"];
    let missing = ferry(dir.path(), &args);
    assert_eq!(code(&missing), 5, "{}", err(&missing));
    assert!(err(&missing).contains("base.jar"), "{}", err(&missing));
    fs::write(dir.path().join("base.jar"), "no jar").expect("written");
    let wrong = ferry(dir.path(), &args);
    assert_eq!(code(&wrong), 1, "{}", err(&wrong));
    assert!(!dir.path().join("out.jar").exists());
}

/// A jar of these entries.
fn jar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, options).expect("in memory");
        zip.write_all(bytes).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

/// A class file without members.
fn class_file(name: &str, super_class: &str) -> Vec<u8> {
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61, 0, 5];
    for (utf8, name) in [(2, name), (4, super_class)] {
        bytes.extend([7, 0, utf8, 1]);
        bytes.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes.extend([0, 0x21, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn base(class: &str) -> Vec<u8> {
    let library = jar(&[(
        &format!("{class}.class"),
        &class_file(class, "java/lang/Object"),
    )]);
    jar(&[("BOOT-INF/lib/money-2.1.0.jar", &library)])
}

#[test]
fn slim_takes_compatible_versions_rules_and_shakes() {
    let dir = folder();
    let manifest = "Manifest-Version: 1.0\r\nMain-Class: acme.cart.Cart\r\nArk-Biz-Name: cart\r\nArk-Biz-Version: 1.0.0\r\n\r\n";
    let object = "java/lang/Object";
    let money = jar(&[
        ("acme/Money.class", &class_file("acme/Money", object)),
        ("acme/Idle.class", &class_file("acme/Idle", object)),
    ]);
    let module = jar(&[
        ("META-INF/MANIFEST.MF", manifest.as_bytes()),
        (
            "acme/cart/Cart.class",
            &class_file("acme/cart/Cart", "acme/Money"),
        ),
        ("lib/money-2.0.0.jar", &money),
    ]);
    fs::write(dir.path().join("cart.jar"), module).expect("written");
    fs::write(dir.path().join("base.jar"), base("acme/Money")).expect("written");
    fs::create_dir_all(dir.path().join("conf/ark")).expect("made");
    let rules = "excludes=acme:gold\nincludes=acme:money\n";
    fs::write(dir.path().join("conf/ark/rules.txt"), rules).expect("written");
    let slim = |more: &[&str]| {
        let mut args = vec!["slim", "cart.jar", "--base", "base.jar", "--jdk", "none"];
        args.extend(more);
        let done = ferry(dir.path(), &args);
        (code(&done), out(&done) + &err(&done))
    };
    let (code, said) = slim(&[]);
    assert!(
        code == 0 && said.contains("the base has another version (2.1.0)"),
        "{said}"
    );
    let (code, said) = slim(&["--versions", "compatible"]);
    assert!(code == 0 && said.contains("1 left out, 0 kept"), "{said}");
    assert!(
        said.contains("everything links against the base's version (2.1.0)"),
        "{said}"
    );
    let (code, said) = slim(&["--versions", "compatible", "--rules", "."]);
    assert!(code == 0 && said.contains("0 left out, 1 kept"), "{said}");
    assert!(
        said.contains("rules.txt:1: excludes = acme:gold: it matches nothing"),
        "{said}"
    );
    let (code, said) = slim(&["--shake"]);
    assert!(
        code == 0 && said.contains("lib/money-2.0.0.jar keeps 1 of its 2 classes"),
        "{said}"
    );
    let (code, said) = slim(&["--rules", "gone.txt"]);
    assert!(code == 5 && said.contains("gone.txt"), "{code}: {said}");
}

#[test]
fn slim_proves_and_its_exit_code_tells() {
    let dir = folder();
    let manifest = "Manifest-Version: 1.0\r\nMain-Class: acme.cart.Cart\r\nArk-Biz-Name: cart\r\nArk-Biz-Version: 1.0.0\r\n\r\n";
    let module = jar(&[
        ("META-INF/MANIFEST.MF", manifest.as_bytes()),
        (
            "acme/cart/Cart.class",
            &class_file("acme/cart/Cart", "acme/Money"),
        ),
    ]);
    fs::write(dir.path().join("cart.jar"), module).expect("written");
    fs::write(dir.path().join("good.jar"), base("acme/Money")).expect("written");
    fs::write(dir.path().join("bad.jar"), base("acme/Coin")).expect("written");
    let slim = |base: &str, more: &[&str]| {
        let mut args = vec!["slim", "cart.jar", "--base", base, "--jdk", "none"];
        args.extend(more);
        ferry(dir.path(), &args)
    };

    let good = slim("good.jar", &["-o", "out.jar", "--report", "report.json"]);
    assert_eq!(code(&good), 0, "{}", err(&good));
    assert!(
        out(&good).contains("proof links: 1 reference of 1 class"),
        "{}",
        out(&good)
    );
    assert!(out(&good).contains("not proven: what is reached by reflection"));
    assert!(dir.path().join("out.jar").exists());
    let report = fs::read(dir.path().join("report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["proof"]["outcome"], "links");

    let bad = slim("bad.jar", &["-o", "bad-out.jar"]);
    assert_eq!(code(&bad), 8, "{}", err(&bad));
    assert!(
        out(&bad)
            .contains("NoClassDefFoundError: there is no acme.Money, needed by acme.cart.Cart"),
        "{}",
        out(&bad)
    );
    assert!(!dir.path().join("bad-out.jar").exists());
    let forced = slim("bad.jar", &["-o", "bad-out.jar", "--force"]);
    assert_eq!(code(&forced), 8);
    assert!(dir.path().join("bad-out.jar").exists());

    // A profile says the same as the jar that it was made from.
    let args = [
        "base", "inspect", "bad.jar", "-o", "bad.json", "--jdk", "none",
    ];
    assert_eq!(code(&ferry(dir.path(), &args)), 0);
    assert_eq!(code(&slim("bad.json", &[])), 8);

    let diff = ferry(dir.path(), &["base", "diff", "good.jar", "bad.json"]);
    assert_eq!(code(&diff), 0, "{}", err(&diff));
    assert!(
        out(&diff).contains("1 class new, 1 gone, 0 rebuilt"),
        "{}",
        out(&diff)
    );
    assert!(out(&diff).contains("acme/Money"), "{}", out(&diff));
    let same = ferry(dir.path(), &["base", "diff", "bad.jar", "bad.json"]);
    assert_eq!(out(&same).trim(), "the same");
}

/// What the jar says is text on the page, whatever it is.
#[test]
fn slim_tells_the_difference_and_writes_a_page() {
    let dir = folder();
    let manifest = "Manifest-Version: 1.0\r\nMain-Class: acme.cart.Cart\r\nArk-Biz-Name: <script>alert(1)</script>\r\nArk-Biz-Version: 1.0.0\r\n\r\n";
    let cart = class_file("acme/cart/Cart", "acme/Money");
    let library = |class: &str| {
        jar(&[(
            &format!("{class}.class"),
            &class_file(class, "java/lang/Object"),
        )])
    };
    let module = |libraries: &[(&str, Vec<u8>)]| {
        let mut entries = vec![
            ("META-INF/MANIFEST.MF", manifest.as_bytes()),
            ("acme/cart/Cart.class", &cart[..]),
        ];
        entries.extend(libraries.iter().map(|(name, bytes)| (*name, &bytes[..])));
        jar(&entries)
    };
    let (before, after) = (
        [
            ("lib/old-1.0.jar", library("o/O")),
            ("lib/tax-1.0.jar", library("t/T")),
        ],
        [
            ("lib/new-1.0.jar", library("n/N")),
            ("lib/tax-1.1.jar", library("t/Tax")),
        ],
    );
    fs::write(dir.path().join("one.jar"), module(&before)).expect("written");
    fs::write(dir.path().join("two.jar"), module(&after)).expect("written");
    fs::write(dir.path().join("base.jar"), base("acme/Money")).expect("written");
    let slim = |jar: &str, more: &[&str]| {
        let mut args = vec!["slim", jar, "--base", "base.jar", "--jdk", "none"];
        args.extend(more);
        ferry(dir.path(), &args)
    };
    assert_eq!(code(&slim("one.jar", &["--report", "one.json"])), 0);
    let more = [
        "--since", "one.json", "--html", "two.html", "--report", "two.json",
    ];
    let two = slim("two.jar", &more);
    assert_eq!(code(&two), 0, "{}", err(&two));
    for told in [
        "since 1.0.0-",
        "lib/new-1.0.jar",
        "lib/tax-1.1.jar (was 1.0)",
        "lib/old-1.0.jar",
    ] {
        assert!(out(&two).contains(told), "{told}: {}", out(&two));
    }
    let report = fs::read(dir.path().join("two.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["since"]["new"][0]["entry"], "lib/new-1.0.jar");
    assert_eq!(report["since"]["gone"][0]["entry"], "lib/old-1.0.jar");
    assert_eq!(report["since"]["changed"][0]["entry"], "lib/tax-1.1.jar");
    let page = fs::read_to_string(dir.path().join("two.html")).expect("a page");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    for stray in ["<script", "http://", "https://", "src="] {
        assert!(!page.contains(stray), "{stray}");
    }
    assert!(page.contains("lib/new-1.0.jar") && page.contains("class=\"good\""));

    assert_eq!(code(&slim("two.jar", &["--since", "none.json"])), 5);
    let odd = slim("two.jar", &["--since", "two.html"]);
    assert!(err(&odd).contains("is no report"), "{}", err(&odd));
}

#[test]
fn slim_converts_a_jar_that_is_no_biz() {
    let dir = folder();
    let manifest = "Manifest-Version: 1.0\r\nMain-Class: org.springframework.boot.loader.JarLauncher\r\nStart-Class: acme.cart.Cart\r\n\r\n";
    let plain = jar(&[
        ("META-INF/MANIFEST.MF", manifest.as_bytes()),
        (
            "BOOT-INF/classes/acme/cart/Cart.class",
            &class_file("acme/cart/Cart", "acme/Money"),
        ),
    ]);
    fs::write(dir.path().join("app.jar"), plain).expect("written");
    fs::write(dir.path().join("base.jar"), base("acme/Money")).expect("written");
    let slim = |more: &[&str]| {
        let mut args = vec!["slim", "app.jar", "--jdk", "none", "-o", "out.jar"];
        args.extend(more);
        ferry(dir.path(), &args)
    };
    let told = slim(&["--base", "base.jar"]);
    assert_eq!(code(&told), 1);
    assert!(
        err(&told).contains("ferry slim --convert"),
        "{}",
        err(&told)
    );
    let nameless = slim(&["--base", "base.jar", "--convert"]);
    assert!(err(&nameless).contains("--biz-name"), "{}", err(&nameless));
    assert!(!dir.path().join("out.jar").exists());
    let who = ["--convert", "--biz-name", "cart", "--biz-version", "1.0"];
    let good = slim(&[&["--base", "base.jar"][..], &who].concat());
    assert_eq!(code(&good), 0, "{}", err(&good));
    assert!(out(&good).contains("proof links"), "{}", out(&good));
    assert_eq!(code(&slim(&[&["--empty-base"][..], &who].concat())), 0);
    let neither = slim(&[]);
    assert_eq!(code(&neither), 2, "{}", err(&neither));
}

#[test]
fn module_check_says_what_the_builder_would() {
    let dir = folder();
    let missing = ferry(dir.path(), &["module", "check"]);
    assert_eq!(code(&missing), 5, "{}", err(&missing));
    fs::create_dir(dir.path().join("cart")).expect("a folder");
    let file = dir.path().join("cart/.ferry.toml");
    fs::write(&file, "soka = \"5s\"\npools = []\n").expect("a file");
    let wrong = ferry(dir.path(), &["module", "check", "cart"]);
    assert_eq!(code(&wrong), 1, "{}", err(&wrong));
    let said = err(&wrong);
    for line in [
        "cart/.ferry.toml:1:1: soka: unknown key, did you mean \"soak\"?",
        "cart/.ferry.toml:2:1: pools: is set in ferry.toml by those who run Ferry; a module may not set it",
        "only its form was checked",
    ] {
        assert!(said.contains(line), "{said}");
    }

    fs::write(&file, "soak = \"5s\"\n").expect("a file");
    let good = ferry(dir.path(), &["module", "check", "cart"]);
    assert_eq!(
        (code(&good), out(&good).as_str()),
        (0, "cart/.ferry.toml: sets soak\n")
    );

    let url = "https://git.example/acme/cart.git";
    let made = ferry(dir.path(), &["init", "--repository", url]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let config = dir.path().join("ferry.toml");
    let text = fs::read_to_string(&config).expect("a file");
    let text = format!("{text}\n[policies.short]\nsoak_at_most = \"4s\"\n");
    fs::write(&config, text).expect("a file");
    let bounded = ferry(dir.path(), &["module", "check", "cart", "--json"]);
    assert_eq!(code(&bounded), 1, "{}", err(&bounded));
    let said: Value = serde_json::from_slice(&bounded.stdout).expect("JSON");
    assert_eq!(said["bounded"], true);
    assert_eq!(
        said["diagnostics"][0]["message"],
        "5s is longer than the 4s of [policies.short] soak_at_most"
    );
    let unknown = ferry(dir.path(), &["module", "check", "cart", "--module", "x"]);
    assert_eq!(code(&unknown), 5, "{}", err(&unknown));
}
