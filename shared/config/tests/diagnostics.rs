//! What is said about files that are wrong: all at once, each at its place.

use std::path::{Path, PathBuf};

use ferry_config::{Diagnostic, Severity, load, parse};

/// Writes the files into a fresh folder, loads the first, and gives what is said,
/// with the folder's name taken away.
fn said(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found = match load(&folder.path().join(files[0].0)) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    let text = found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    text.replace(&format!("{}/", folder.path().display()), "")
}

/// What is said about one text.
fn one(text: &str) -> Vec<String> {
    match parse(&[(PathBuf::from("ferry.toml"), text.to_owned())]) {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
        Err(found) => found.iter().map(ToString::to_string).collect(),
    }
}

const GOOD: &str = r#"
[repositories.hello]
url = "https://git.example/acme/hello.git"
forge = "github"
secret = "env:HELLO"
[modules.hello]
repository = "hello"
[environments.prod]
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1238"
url = "http://127.0.0.1:8080"
"#;

#[test]
fn a_file_full_of_errors() {
    let ferry = r#"
[bus]
url = "http://127.0.0.1:4222"

[gateway]
listen = "localhost:8900"
url = "https://user:pass@ferry.example"
body_limit = "25 potatoes"
inbox_limit = 3

[builder]
parallel = 0
sandbox = "non"
timeout = "15 parsecs"
memory = "1B"
allow_clone = ["https", "ext", "https://git.example"]
maven_settings = ""

[builder.jdks]
17 = "/usr/lib/jvm/java-17"
"Java 8" = "/usr/lib/jvm/java-8"

[installer]
url_ttl = "3h"
parallell = 4

[verifer]
poll = "1s"

[tokens.ci]
hash = "hunter2"
grants = []

[tokens.ops]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
[[tokens.ops.grants]]
role = "root"
modules = ["[a-"]

[teams.core]

[repositories.hello]
url = "https://git.example/acme/hello.git"
forge = "gihub"
secret = "correct horse battery staple"
team = "cor"

[repositories.tricky]
url = "ext::sh -c date"
forge = "github"
secret = "env:TRICKY"

[repositories.local]
url = "file:///srv/git/local.git"
forge = "gitea"
secret = "env:LOCAL"

[repositories.half]

[modules.hello]
repositry = "hello"
jdk = "18"
pools = ["prd"]
path = "../elsewhere"
[modules.hello.probe]
path = "hello"
status = 2000
deadline = 20

[modules.other]
repository = "helo"
pools = []

[environments.pre]
after = "prod"
[environments.prod]
after = "pre"
canary = "one"

[pools.prod]
environment = "production-somewhere"
[[pools.prod.bases]]
name = "prod-1"
arklet = "127.0.0.1:1238"
url = "http://127.0.0.1:8081"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1239"
url = "http://127.0.0.1:8082/?x"
zone = "Zone A"
[[pools.prod.bases]]
name = "prod-2"
arklet = "http://127.0.0.1:1239/"
"#;
    let said = said(&[("ferry.toml", ferry)]);
    insta::assert_snapshot!(said);
}

#[test]
fn several_files() {
    let ferry =
        format!("{GOOD}bases = 3\n[environments.pre]\n[teams]\ncore = {{ name = \"Core\" }}\n");
    let ferry = ferry.replace(
        "[[pools.prod.bases]]",
        "bases_file = \"lists/bases.toml\"\n[[pools.prod.bases]]",
    );
    let ferry = ferry.replace("bases = 3\n", "");
    let said = said(&[
        ("ferry.toml", &ferry),
        (
            "conf.d/20-more.toml",
            "[teams.core]\nname = \"Core too\"\n[modules.hello]\njdk = \"17\"\n",
        ),
        (
            "conf.d/10-jdk.toml",
            "[builder.jdks]\n17 = \"jdk\"\n[bus]\nulr = \"nats://127.0.0.1:4222\"\n",
        ),
        ("conf.d/ignored.txt", "this is not read"),
        (
            "lists/bases.toml",
            "[[bases]]\nname = \"prod-1\"\narklet = \"http://127.0.0.1:1300\"\nurl = \"http://127.0.0.1:80\"\n\
             [[bases]]\nname = \"prod-2\"\narklet = \"http://127.0.0.1:1238\"\nadress = \"x\"\n",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_syntax_error_does_not_hide_the_errors_of_other_files() {
    let said = said(&[
        (
            "ferry.toml",
            "[repositories.hello\nurl = \"x\"\n[bus]\nurl = \n",
        ),
        // `hello` may well stand in the file above, so nothing is said of it.
        (
            "conf.d/modules.toml",
            "[modules.hello]\nrepository = \"hello\"\nsoak = \"long\"\n",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn what_cannot_be_read() {
    let file = Path::new("/nowhere/ferry.toml");
    let found = load(file).unwrap_err();
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["/nowhere/ferry.toml: there is no such file; `ferry init` writes one"]
    );
    let text = GOOD.replace(
        "[[pools.prod.bases]]",
        "bases_file = \"bases.toml\"\n[[pools.prod.bases]]",
    );
    let said = said(&[("ferry.toml", &text)]);
    assert!(
        said.starts_with("ferry.toml:11:14: pools.prod.bases_file: "),
        "{said}"
    );
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn a_missing_main_file_still_shows_the_errors_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    std::fs::write(folder.path().join("conf.d/a.toml"), "[bus]\nurl = 3\n").unwrap();
    let found = load(&folder.path().join("ferry.toml")).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].line, 0);
    assert_eq!(found[1].key, "bus.url");
}

#[test]
fn a_good_file_says_nothing() {
    assert_eq!(one(GOOD), [] as [&str; 0]);
}

#[test]
fn the_order_of_environments() {
    let with = |environments: &str| one(&GOOD.replace("[environments.prod]\n", environments));
    assert_eq!(
        with("[environments.prod]\nafter = \"prod\"\n"),
        [
            "ferry.toml:9:9: environments.prod.after: the order goes round in a circle: prod after prod"
        ]
    );
    assert_eq!(
        with(
            "[environments.a]\nafter=\"c\"\n[environments.b]\nafter=\"a\"\n[environments.c]\nafter=\"b\"\n[environments.prod]\n"
        ),
        [
            "ferry.toml:9:7: environments.a.after: the order goes round in a circle: a after c after b after a"
        ]
    );
    let forked = with(
        "[environments.prod]\n[environments.a]\nafter=\"prod\"\n[environments.b]\nafter=\"prod\"\n",
    );
    assert_eq!(
        forked,
        [
            "ferry.toml:12:7: environments.b.after: \"a\" comes after \"prod\" too; environments are one chain"
        ]
    );
    let two = with("[environments.prod]\n[environments.pre]\n");
    assert_eq!(two.len(), 1, "{two:?}");
    assert!(two[0].contains("has no \"after\""), "{two:?}");
}

#[test]
fn a_module_that_would_go_nowhere() {
    let text = GOOD.split("[[pools").next().unwrap();
    assert_eq!(
        one(text),
        [
            "ferry.toml:6:10: modules.hello: no pool of this module has a base, so it would be installed nowhere"
        ]
    );
}

#[test]
fn a_snippet_has_a_base_and_nothing_of_mavens() {
    let snippet = GOOD.replace(
        "repository = \"hello\"",
        "repository = \"hello\"\nbuild = \"snippet\"",
    );
    assert_eq!(
        one(&snippet),
        [
            "ferry.toml:8:1: warning: modules.hello.build: a snippet is compiled against its base: no pool of this module has a base_jar or a base"
        ]
    );
    let snippet = snippet.replace(
        "environment = \"prod\"",
        "environment = \"prod\"\nbase_jar = \"base.jar\"",
    );
    assert_eq!(one(&snippet), Vec::<String>::new());
    let mavens = snippet.replace(
        "build = \"snippet\"",
        "build = \"snippet\"\ngoals = [\"package\"]",
    );
    assert_eq!(
        one(&mavens),
        ["ferry.toml:9:1: modules.hello.goals: is Maven's; a snippet has none"]
    );
    let unknown = format!("{snippet}[builder.snippets]\nfile = 3\n");
    assert_eq!(
        one(&unknown),
        ["ferry.toml:18:1: builder.snippets.file: unknown key, did you mean \"files\"?"]
    );
}

#[test]
fn two_repositories_that_a_webhook_cannot_tell_apart() {
    let text = format!(
        "{GOOD}[repositories.twin]\nurl = \"git@git.example:Acme/Hello.git\"\nforge = \"github\"\nsecret = \"env:TWIN\"\n"
    );
    let said = one(&text);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("at the same forge as repositories.hello"),
        "{said:?}"
    );
}

#[test]
fn a_collector_is_asked_over_http() {
    let with = |line: &str| one(&format!("{GOOD}\n[telemetry]\n{line}\n"));
    assert_eq!(
        with("otlp = \"http://127.0.0.1:4318\""),
        Vec::<String>::new()
    );
    assert_eq!(
        with("otlp = \"https://collector.example/otlp\""),
        Vec::<String>::new()
    );
    let grpc = with("otlp = \"grpc://127.0.0.1:4317\"").join("\n");
    assert!(
        grpc.contains("must begin with http:// or https://"),
        "{grpc}"
    );
    let other = with("oltp = \"http://127.0.0.1:4318\"").join("\n");
    assert!(other.contains("otlp"), "{other}");
}

#[test]
fn warnings() {
    let text = format!(
        "{GOOD}[verifier]\npoll = \"3s\"\n[builder]\nsandbox = \"none\"\n[installer]\nurl_ttl = \"10s\"\n[modules.hello.probe]\npath = \"/\"\ntimeout = \"1m\"\n"
    );
    let said = one(&text).join("\n");
    insta::assert_snapshot!(said);
}

#[test]
fn more_bases_than_can_be_looked_at() {
    let mut text = format!("{GOOD}[verifier]\nlooks_per_second = 2\n");
    for number in 0..20 {
        text += &format!(
            "[[pools.many.bases]]\nname = \"many-{number}\"\narklet = \"http://127.0.0.1:1238/{number}/\"\nurl = \"http://127.0.0.1:8080/{number}/\"\n"
        );
    }
    text += "[pools.many]\nenvironment = \"prod\"\n";
    insta::assert_snapshot!(one(&text).join("\n"));
}

#[test]
fn a_drain_that_is_wrong() {
    let text = GOOD.replace(
        "[[pools.prod.bases]]",
        "[pools.prod.drain]\nmodules = \"webs\"\ndeadline = \"2h\"\nat_deadline = \"go-on\"\nheader = \"x y\"\nsecret = \"hunter2\"\n\
         drain = { url = \"http://lb/{bse}\", method = \"PUSH\", content_type = \"json\", status = 99, check = { contains = \"x\", matches = \"(\" } }\n\
         undrain = { url = \"http://me:hush@lb/{base}\", check = { url = \"lb/{base}\" } }\n[[pools.prod.bases]]",
    );
    insta::assert_snapshot!(one(&text).join("\n"));
    let text = GOOD.replace(
        "[[pools.prod.bases]]",
        "[pools.prod.drain]\ndeadline = \"1s\"\nat_deadline = \"proceed\"\n\
         drain = { url = \"http://lb/{base}\", wait = \"1s\" }\n\
         undrain = { url = \"http://lb/{base}\", wait = \"1s\" }\n[[pools.prod.bases]]",
    );
    insta::assert_snapshot!(one(&text).join("\n"));
}

#[test]
fn gates_and_limits_that_make_no_sense() {
    let text = r#"
[tokens.ann]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
grants = [{ role = "approve" }]
[tokens.bob]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000002"
grants = [{ role = "approve" }]
[teams.core]
members = ["ann", "bbo"]
[teams.empty]

[environments.pre]
canary = 0
parallel = "101%"
max_unavailable = "0%"
min_available = "100%"
max_failures = -1
pause = "8days"
rollback = "at-onc"
live_every = 0
[environments.pre.approval]
by = ["anne", "team:cora", "team:empty", "all of them", "nobody-at-all"]
[environments.pre.metrics.none]
url = "http://127.0.0.1:9090?query=up"
query = ""
[environments.pre.metrics.misspelt]
url = "http://127.0.0.1:9090"
query = "up"
mim = "1"
at = []
[environments.pre.metrics.crossed]
url = "http://127.0.0.1:9090"
query = "up"
min = "0.5"
max = "0.25"
[environments.pre.metrics.text]
url = "http://127.0.0.1:9090"
query = "up"
min = "low"
max = "inf"
[environments.pre.windows.never]
opens = "0 9 30 2 *"
open_for = "8h"
[environments.pre.windows.seconds]
opens = "0 0 9 * * mon"
open_for = "8h"
[environments.pre.windows.short]
opens = "0 25 * * *"
open_for = "30s"
time_zone = "Berlin"
[environments.pre.checks.board]
url = "ftp://127.0.0.1"
token = "hunter2"
at = ["finish"]

[environments.prod]
after = "pre"
[environments.prod.approval]
by = ["ann", "team:core", "bob"]
count = 4
[environments.gray]
after = "prod"
[environments.gray.approval]
by = ["ann", "ann"]
count = 2

[freezes.backwards]
from = "2026-12-24"
until = "2026-12-24T00:00"
why = "x"
[freezes.zone]
from = "2026-12-24T10:00"
until = "2026-12-24"
time_zone = "Mars/North"
why = ""
[freezes.date]
from = "24.12.2026"
until = "2026-12-25T10:00:00Z"
why = "x"
modules = ["[a-"]
environments = []
"#;
    insta::assert_snapshot!(one(text).join("\n"));
}

#[test]
fn approvals_that_nobody_can_give() {
    let text = r#"
[tokens.ann]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
grants = [{ role = "approve", environments = ["pre"] }]
[tokens.bob]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000002"
grants = [{ role = "operate" }, { role = "admin", modules = ["hello"], environments = ["pr*"] }]
[tokens.ci]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000003"
grants = [{ role = "operate" }]
[teams.core]
members = ["ann", "bob"]

[environments.pre.approval]
by = ["team:core"]
count = 2
[environments.gray]
after = "pre"
[environments.gray.approval]
[environments.prod]
after = "gray"
[environments.prod.approval]
by = ["team:core", "ci"]
count = 2
"#;
    insta::assert_snapshot!(one(text).join("\n"));
}

#[test]
fn zones_that_could_never_be_changed() {
    let base = |number: u32, zone: &str| {
        format!(
            "[[pools.prod.bases]]\nname = \"prod-{number}\"\narklet = \"http://127.0.0.1:{number}\"\nurl = \"http://127.0.0.1:8080\"\nzone = \"{zone}\"\n"
        )
    };
    let bases: String = ["a", "a", "a", "b", "b", "c"]
        .iter()
        .zip(10..)
        .map(|(zone, number)| base(number, zone))
        .collect();
    let with = |limits: &str| {
        let text = GOOD.split("[[pools").next().unwrap();
        let limits = format!("[environments.prod]\n{limits}\n");
        one(&format!(
            "{}{bases}",
            text.replace("[environments.prod]\n", &limits)
        ))
        .join("\n")
    };
    assert_eq!(with("min_available = 0"), "");
    assert_eq!(with("max_unavailable = 1"), "");
    let mut text = String::new();
    for limits in [
        "min_available = 2",
        "min_available = \"67%\"",
        "max_unavailable = \"40%\"",
        "max_unavailable = \"40%\"\nmin_available = 1",
    ] {
        text.push_str(&format!("== {limits}\n{}\n", with(limits)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn columns_count_characters() {
    let text = GOOD.replace(
        "[environments.prod]",
        "[environments]\nprod = { after = \"é\", canari = 1 }",
    );
    assert_eq!(
        one(&text),
        [
            "ferry.toml:9:18: environments.prod.after: there is no \"é\" in environments, which has: prod",
            "ferry.toml:9:23: environments.prod.canari: unknown key, did you mean \"canary\"?",
        ]
    );
}

#[test]
fn a_diagnostic_is_json_too() {
    let found = parse(&[(PathBuf::from("ferry.toml"), "[gatway]".to_owned())]).unwrap_err();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "severity": "error", "file": "ferry.toml", "line": 1, "column": 2,
            "key": "gatway", "message": "unknown key", "suggestion": "gateway",
        }])
    );
    let back: Vec<Diagnostic> = serde_json::from_value(json).unwrap();
    assert_eq!(back, found);
    assert_eq!(back[0].severity, Severity::Error);
}

#[test]
fn what_was_written_where_a_secret_belongs_is_never_repeated() {
    let text = GOOD.replace("env:HELLO", "correct-horse").replace(
        "https://git.example/acme",
        "https://ci:correct-horse@git.example/acme",
    );
    let text =
        format!("{text}[tokens.ci]\nhash = \"correct-horse\"\ngrants = [{{ role = \"view\" }}]\n");
    let said = one(&text);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(!said.join("").contains("correct-horse"), "{said:?}");
}

#[test]
fn keys_that_nest_without_end_are_refused() {
    for text in [
        format!("{} = 1", vec!["a"; 100_000].join(".")),
        format!("[{}]", vec!["a"; 100_000].join(".")),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
    ] {
        assert!(parse(&[(PathBuf::from("ferry.toml"), text)]).is_err());
    }
}

#[test]
fn the_jar_of_a_base_is_not_rolled_out_and_a_pool_names_one() {
    let base = |more: &str| {
        format!("{GOOD}\n[modules.shop-base]\nrepository = \"hello\"\nkind = \"base\"\n{more}")
    };
    let pool = |line: &str| {
        base("").replace(
            "environment = \"prod\"\n",
            &format!("environment = \"prod\"\n{line}\n"),
        )
    };
    assert_eq!(one(&pool("base = \"shop-base\"")), [""; 0]);
    let said = [
        one(&base("soak = \"1s\"\npools = [\"prod\"]\n")),
        one(&base("build = \"snippet\"\n")),
        one(&pool("base = \"hello\"")),
        one(&pool("base = \"shop-bass\"")),
        one(&pool("base = \"shop-base\"\nbase_jar = \"base.jar\"")),
        one(&base(
            "[releases.all]\n[releases.all.modules.hello]\n[releases.all.modules.shop-base]\n",
        )),
    ];
    insta::assert_snapshot!(said.map(|lines| lines.join("\n")).join("\n\n"));
}
