//! What a module wants of its slimming: compatible versions, and the rules of
//! its own project. Jars in, reports out.

mod common;

use common::{Bench, item, library, module, module_declaring, profile, real_class};
use ferry_slim::{
    BaseProfile, Kind, Outcome, Report, Rules, RulesFile, SlimError, Versions, Wishes,
};

const OBJECT: &str = "java/lang/Object";

/// A library of the group `acme` with plain classes.
fn acme(artifact: &str, version: &str, classes: &[&str]) -> Vec<u8> {
    let classes: Vec<_> = classes.iter().map(|it| real_class(it, OBJECT)).collect();
    library("acme", artifact, version, &classes)
}

fn compatible() -> Wishes {
    Wishes {
        versions: Versions::Compatible,
        ..Wishes::default()
    }
}

fn rules(text: &str) -> Wishes {
    Wishes {
        rules: Rules::read(&[RulesFile {
            name: "conf/ark/rules.txt".to_owned(),
            text: Some(text.to_owned()),
        }]),
        ..Wishes::default()
    }
}

fn entries(choices: &[ferry_slim::Choice]) -> Vec<String> {
    let told = choices
        .iter()
        .map(|one| format!("{}: {}", one.entry, one.why));
    told.collect()
}

fn told(report: &Report) -> Vec<String> {
    report.rules.iter().map(ToString::to_string).collect()
}

fn slim(packaged: &[u8], base: &BaseProfile, wishes: &Wishes) -> Report {
    Bench::new().slim_as(packaged, base, wishes).unwrap().0
}

/// A module whose class extends one of the library's.
fn extends(class: &str, more: &[common::Item]) -> Vec<u8> {
    let mut items = vec![real_class("demo/Main", class)];
    items.extend_from_slice(more);
    module(&items)
}

#[test]
fn another_version_that_links_is_the_bases_where_the_module_says_so() {
    let base = profile(&[(
        "money-2.0.jar",
        acme("money", "2.0", &["acme/Money", "acme/Coin"]),
    )]);
    let jar = item("lib/money-1.0.jar", acme("money", "1.0", &["acme/Money"]));
    let packaged = extends("acme/Money", &[jar]);
    let plain = slim(&packaged, &base, &Wishes::default());
    assert_eq!(
        entries(&plain.kept),
        ["lib/money-1.0.jar: the base has another version (2.0)"]
    );
    let report = slim(&packaged, &base, &compatible());
    assert_eq!(
        entries(&report.left_out),
        ["lib/money-1.0.jar: everything links against the base's version (2.0)"]
    );
    assert_eq!(report.declared_libraries, ["hello", "money"]);
    assert_eq!(report.proof.unwrap().outcome, plain.proof.unwrap().outcome);
}

#[test]
fn what_does_not_link_stays_and_what_is_missing_is_told() {
    let base = profile(&[
        ("coin-1.0.jar", acme("coin", "1.0", &["acme/coin/Coin"])),
        ("money-1.0.jar", acme("money", "1.0", &["acme/Money"])),
    ]);
    let packaged = extends(
        "acme/Note",
        &[
            item("lib/coin-2.0.jar", acme("coin", "2.0", &["acme/coin/Coin"])),
            item(
                "lib/money-2.0.jar",
                acme("money", "2.0", &["acme/Money", "acme/Note"]),
            ),
        ],
    );
    let report = slim(&packaged, &base, &compatible());
    assert_eq!(
        entries(&report.left_out),
        ["lib/coin-2.0.jar: everything links against the base's version (1.0)"]
    );
    assert_eq!(
        entries(&report.kept),
        [
            "lib/money-2.0.jar: the base has another version (1.0), which does not serve: NoClassDefFoundError: there is no acme.Note, needed by demo.Main (the module)"
        ]
    );
    assert_eq!(report.proof.unwrap().faults, []);
}

#[test]
fn what_comes_back_brings_back_what_it_needs() {
    // `money` stays for the module, and needs a class of the newer `coin`.
    let coin = |version: &str, classes: &[&str]| acme("coin", version, classes);
    let base = profile(&[
        ("coin-1.0.jar", coin("1.0", &["acme/coin/Coin"])),
        ("money-1.0.jar", acme("money", "1.0", &["acme/Money"])),
    ]);
    let money = library(
        "acme",
        "money",
        "2.0",
        &[
            real_class("acme/Note", "acme/coin/Gold"),
            real_class("acme/Money", OBJECT),
        ],
    );
    let packaged = extends(
        "acme/Note",
        &[
            item(
                "lib/coin-2.0.jar",
                coin("2.0", &["acme/coin/Coin", "acme/coin/Gold"]),
            ),
            item("lib/money-2.0.jar", money),
        ],
    );
    let report = slim(&packaged, &base, &compatible());
    assert_eq!(entries(&report.left_out), [""; 0]);
    let kept = entries(&report.kept);
    assert!(kept[0].contains("there is no acme.coin.Gold"), "{kept:?}");
    assert!(kept[1].contains("there is no acme.Note"), "{kept:?}");
    assert_eq!(report.proof.unwrap().faults, []);
}

#[test]
fn a_family_goes_whole_or_not_at_all() {
    let core = |version| {
        let class = real_class("com/fasterxml/jackson/core/Core", OBJECT);
        library("fasterxml", "jackson-core", version, &[class])
    };
    let bind = |version, class: &str| {
        let class = real_class(&format!("com/fasterxml/jackson/databind/{class}"), OBJECT);
        library("fasterxml", "jackson-databind", version, &[class])
    };
    let packaged = extends(
        "com/fasterxml/jackson/databind/New",
        &[
            item("lib/jackson-core-2.16.jar", core("2.16")),
            item("lib/jackson-databind-2.16.jar", bind("2.16", "New")),
        ],
    );
    let base = |class| {
        profile(&[
            ("jackson-core-2.15.jar", core("2.15")),
            ("jackson-databind-2.15.jar", bind("2.15", class)),
        ])
    };
    let report = slim(&packaged, &base("Old"), &compatible());
    assert_eq!((report.left_out.len(), report.kept.len()), (0, 2));
    let report = slim(&packaged, &base("New"), &compatible());
    assert_eq!((report.left_out.len(), report.kept.len()), (2, 0));
}

#[test]
fn resources_out_of_reach_keep_another_version_too() {
    let service = item("META-INF/services/acme.Money", "acme.Money");
    let money = |version| {
        library(
            "acme",
            "money",
            version,
            &[real_class("acme/Money", OBJECT), service.clone()],
        )
    };
    let base = profile(&[("money-2.0.jar", money("2.0"))]);
    let packaged = module_declaring("", &[item("lib/money-1.0.jar", money("1.0"))]);
    let report = slim(&packaged, &base, &compatible());
    assert_eq!(report.left_out, []);
}

#[test]
fn excluded_libraries_are_the_bases_in_whatever_version() {
    let base = profile(&[("money-2.0.jar", acme("money", "2.0", &["acme/Money"]))]);
    let jar = item("lib/money-1.0.jar", acme("money", "1.0", &["acme/Money"]));
    let packaged = extends("acme/Money", &[jar]);
    for rule in [
        "excludes=acme:money",
        "excludes=acme:money:1.0",
        "excludeGroupIds=ac*",
        "excludeArtifactIds=money",
    ] {
        let report = slim(&packaged, &base, &rules(rule));
        let shown = rule.replace('=', " = ");
        assert_eq!(
            entries(&report.left_out),
            [format!(
                "lib/money-1.0.jar: {shown} in conf/ark/rules.txt:1; the base has 2.0"
            )]
        );
        assert_eq!(told(&report), [""; 0]);
        assert_eq!(report.proof.unwrap().faults, []);
    }
    for rule in [
        "excludes=acme:money:2.0",
        "excludes=other:money",
        "excludeArtifactIds=mon",
    ] {
        assert_eq!(slim(&packaged, &base, &rules(rule)).left_out, [], "{rule}");
    }
}

#[test]
fn a_rule_that_leaves_out_what_the_base_lacks_is_named_by_the_refusal() {
    let base = profile(&[("coin-1.0.jar", acme("coin", "1.0", &["acme/coin/Coin"]))]);
    let jar = item("lib/money-1.0.jar", acme("money", "1.0", &["acme/Money"]));
    let report = slim(
        &extends("acme/Money", std::slice::from_ref(&jar)),
        &base,
        &rules("excludes=acme:money"),
    );
    let proof = report.proof.as_ref().unwrap();
    assert_eq!(proof.outcome, Outcome::Refused);
    assert_eq!(
        proof.faults[0].remedy,
        "lib/money-1.0.jar was left out by the rule excludes = acme:money in conf/ark/rules.txt:1: take it away, or build against the base's version"
    );
    assert_eq!(
        told(&report),
        [
            "conf/ark/rules.txt:1: excludes = acme:money: the module does not link without lib/money-1.0.jar: NoClassDefFoundError: there is no acme.Money, needed by demo.Main (the module)"
        ]
    );
    let report = slim(
        &extends(OBJECT, &[jar]),
        &base,
        &rules("excludes=acme:money"),
    );
    assert_eq!(
        told(&report),
        [
            "conf/ark/rules.txt:1: excludes = acme:money: the base has nothing in the place of lib/money-1.0.jar, and nothing that is proven needs it"
        ]
    );
    assert_ne!(report.proof.unwrap().outcome, Outcome::Refused);
}

#[test]
fn rules_that_match_nothing_are_told() {
    let base = profile(&[("coin-1.0.jar", acme("coin", "1.0", &["acme/coin/Coin"]))]);
    let packaged = extends(OBJECT, &[]);
    // The build has left that one out already.
    assert_eq!(
        told(&slim(&packaged, &base, &rules("excludes=acme:coin"))),
        [""; 0]
    );
    let report = slim(
        &packaged,
        &base,
        &rules("excludes=acme:gold\nincludes=acme:coin"),
    );
    assert_eq!(
        told(&report),
        [
            "conf/ark/rules.txt:1: excludes = acme:gold: it matches nothing: neither the module carries such a library nor the base; if the build left one out by it, nobody has it",
            "conf/ark/rules.txt:2: includes = acme:coin: it matches nothing: the module carries no such library",
        ]
    );
}

#[test]
fn included_libraries_stay_and_win_over_excludes() {
    let money = acme("money", "1.0", &["acme/Money"]);
    let base = profile(&[("money-1.0.jar", money.clone())]);
    let packaged = extends("acme/Money", &[item("lib/money-1.0.jar", money)]);
    let report = slim(
        &packaged,
        &base,
        &rules("includeArtifactIds=mon*\nexcludes=acme:money"),
    );
    assert_eq!(
        entries(&report.kept),
        ["lib/money-1.0.jar: includeArtifactIds = mon* in conf/ark/rules.txt:1"]
    );
    let report = slim(&packaged, &base, &rules("excludeSameBaseDependency=false"));
    assert_eq!(report.kept.len(), 1);
    let both = "excludeSameBaseDependency=false\nexcludes=acme:money";
    assert_eq!(slim(&packaged, &base, &rules(both)).left_out.len(), 1);
}

#[test]
fn no_rule_splits_a_family_or_brings_another_spring() {
    let spring = |version| {
        let class = real_class("org/springframework/core/Ordered", OBJECT);
        library("org.springframework", "spring-core", version, &[class])
    };
    let jackson = |artifact: &str, version| {
        let class = real_class(&format!("com/fasterxml/jackson/{artifact}/C"), OBJECT);
        library("fasterxml", artifact, version, &[class])
    };
    let base = profile(&[
        ("spring-core-6.1.8.jar", spring("6.1.8")),
        ("core-2.15.jar", jackson("core", "2.15")),
        ("databind-2.15.jar", jackson("databind", "2.15")),
    ]);
    let fat = extends(
        OBJECT,
        &[item("lib/spring-core-6.1.8.jar", spring("6.1.8"))],
    );
    let report = slim(&fat, &base, &rules("includeGroupIds=org.springframework*"));
    assert_eq!(report.kept, []);
    assert!(told(&report)[0].contains("it is not obeyed: lib/spring-core-6.1.8.jar is of Spring"));

    let plain = extends(
        OBJECT,
        &[
            item("lib/core-2.16.jar", jackson("core", "2.16")),
            item("lib/databind-2.16.jar", jackson("databind", "2.16")),
        ],
    );
    let report = slim(&plain, &base, &rules("excludes=fasterxml:databind"));
    assert_eq!(report.left_out, []);
    assert!(
        told(&report)[0].contains("would part from lib/core-2.16.jar"),
        "{:?}",
        report.rules
    );
    let report = slim(&plain, &base, &rules("excludeGroupIds=fasterxml"));
    assert_eq!(report.left_out.len(), 2);
    assert_eq!(told(&report), [""; 0]);
}

#[test]
fn what_only_excluded_libraries_refer_to_goes_with_them() {
    let base = profile(&[("money-2.0.jar", acme("money", "2.0", &["acme/Money"]))]);
    let money = library(
        "acme",
        "money",
        "1.0",
        &[real_class("acme/Money", "acme/coin/Coin")],
    );
    let coin = |class| {
        library(
            "acme",
            "coin",
            "1.0",
            &[real_class("acme/coin/Coin", class)],
        )
    };
    let jars = |main: &str| {
        extends(
            main,
            &[
                item("lib/coin-1.0.jar", coin("acme/gold/Gold")),
                item("lib/gold-1.0.jar", acme("gold", "1.0", &["acme/gold/Gold"])),
                item("lib/money-1.0.jar", money.clone()),
                item(
                    "lib/alone-1.0.jar",
                    acme("alone", "1.0", &["acme/alone/Alone"]),
                ),
            ],
        )
    };
    let report = slim(&jars("acme/Money"), &base, &rules("excludes=acme:money"));
    assert_eq!(
        entries(&report.left_out),
        [
            "lib/coin-1.0.jar: only lib/money-1.0.jar, which is left out, refers to it",
            "lib/gold-1.0.jar: only lib/coin-1.0.jar, which is left out, refers to it",
            "lib/money-1.0.jar: excludes = acme:money in conf/ark/rules.txt:1; the base has 2.0",
        ]
    );
    assert_eq!(report.proof.unwrap().faults, []);
    // The module needs one of them itself, and with it what that needs.
    let report = slim(
        &jars("acme/coin/Coin"),
        &base,
        &rules("excludes=acme:money"),
    );
    assert_eq!(report.left_out.len(), 1);
    let alone = "excludes=acme:money\nexcludeWithIndirectDependencies=false";
    assert_eq!(
        slim(&jars("acme/Money"), &base, &rules(alone))
            .left_out
            .len(),
        1
    );
}

#[test]
fn a_project_may_forbid_to_leave_out_another_version() {
    let base = profile(&[("money-2.0.jar", acme("money", "2.0", &["acme/Money"]))]);
    let jar = item("lib/money-1.0.jar", acme("money", "1.0", &["acme/Money"]));
    let text = "excludes=acme:money\nbuildFailWhenExcludeDiffBaseDependency=true";
    let error = Bench::new()
        .slim_as(&extends("acme/Money", &[jar]), &base, &rules(text))
        .unwrap_err();
    assert!(
        matches!(error, SlimError::ExcludedDiffers { .. }),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Mismatch);
    assert!(
        error
            .to_string()
            .contains("lib/money-1.0.jar (the base has 2.0)"),
        "{error}"
    );
}

#[test]
fn the_whitelist_is_declared_where_anything_is() {
    let base = profile(&[("money-2.0.jar", acme("money", "2.0", &["acme/Money"]))]);
    let text = "declared.libraries.whitelist=acme:money,acme:gold";
    let report = slim(&module(&[]), &base, &rules(text));
    assert_eq!(report.declared_libraries, ["hello", "money"]);
    assert_eq!(
        told(&report),
        [
            "conf/ark/rules.txt:1: declared.libraries.whitelist = acme:gold: the base has no library that is declared as \"gold\""
        ]
    );
    let report = slim(&module_declaring("", &[]), &base, &rules(text));
    assert_eq!(report.declared_libraries, [""; 0]);
    assert!(told(&report)[0].contains("it is not obeyed"));
}

#[test]
fn rules_in_the_jar_are_obeyed_and_those_at_hand_come_first() {
    let base = profile(&[("money-2.0.jar", acme("money", "2.0", &["acme/Money"]))]);
    let jar = item("lib/money-1.0.jar", acme("money", "1.0", &["acme/Money"]));
    let packaged = extends(
        "acme/Money",
        &[
            jar,
            item("conf/ark/bootstrap.yml", "excludes:\n- acme:money\n"),
        ],
    );
    let report = slim(&packaged, &base, &Wishes::default());
    assert_eq!(
        entries(&report.left_out),
        ["lib/money-1.0.jar: excludes = acme:money in conf/ark/bootstrap.yml; the base has 2.0"]
    );
    let same = Wishes {
        rules: Rules::read(&[RulesFile {
            name: "cart/conf/ark/bootstrap.yml".to_owned(),
            text: Some(String::new()),
        }]),
        ..Wishes::default()
    };
    assert_eq!(slim(&packaged, &base, &same).left_out, []);
}

#[test]
fn libraries_that_are_partly_used_are_reduced_to_what_is_reached() {
    let used = [
        real_class("acme/tools/Tools", "acme/tools/Above"),
        real_class("acme/tools/Above", OBJECT),
        real_class("acme/tools/Named", OBJECT),
        real_class("acme/tools/Idle", "acme/tools/IdleToo"),
        real_class("acme/tools/IdleToo", OBJECT),
        item("acme/tools/messages.properties", "maker=acme.tools.Named"),
    ];
    let plain = library("acme", "tools", "1.0", &used);
    let serving = library(
        "acme",
        "serving",
        "1.0",
        &[
            real_class("acme/Idle", OBJECT),
            item("META-INF/services/acme.X", "acme.Idle"),
        ],
    );
    let packaged = extends(
        "acme/tools/Tools",
        &[
            item("lib/serving-1.0.jar", &serving),
            item("lib/tools-1.0.jar", &plain),
        ],
    );
    let base = profile(&[("coin-1.0.jar", acme("coin", "1.0", &["acme/coin/Coin"]))]);
    let wishes = Wishes {
        shake: true,
        ..Wishes::default()
    };
    let (report, slimmed) = Bench::new().slim_as(&packaged, &base, &wishes).unwrap();
    let told: Vec<String> = report.shaken.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "lib/serving-1.0.jar stays whole: it has META-INF/services/acme.X, by which frameworks find its classes",
            "lib/tools-1.0.jar keeps 3 of its 5 classes",
        ]
    );
    let inside = common::read(&slimmed, "lib/tools-1.0.jar");
    let names: Vec<String> = common::raw(&inside)
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert!(names.contains(&"acme/tools/messages.properties".to_owned()));
    assert!(names.contains(&"acme/tools/Named.class".to_owned()));
    assert!(!names.iter().any(|name| name.contains("Idle")), "{names:?}");
    assert_eq!(common::read(&slimmed, "lib/serving-1.0.jar"), serving);
    assert_eq!(report.proof.unwrap().faults, []);
    assert!(report.bytes_after < report.bytes_before);
    // The same again, from the packaged jar and from the slimmed one.
    let (_, again) = Bench::new().slim_as(&packaged, &base, &wishes).unwrap();
    assert_eq!(again, slimmed);
    let (_, twice) = Bench::new().slim_as(&slimmed, &base, &wishes).unwrap();
    assert_eq!(twice, slimmed);
    // Without the wish it stays as it was built.
    let (report, whole) = Bench::new()
        .slim_as(&packaged, &base, &Wishes::default())
        .unwrap();
    assert_eq!(report.shaken, []);
    assert_eq!(common::read(&whole, "lib/tools-1.0.jar"), plain);
}
