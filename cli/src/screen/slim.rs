//! `ferry slim`, `ferry base inspect` and `ferry base diff`.
//!
//! In: what the library reports. Out: text.

use ferry_slim::{BaseProfile, Choice, Diff, Finding, Growth, Outcome, Report, Verdict};

use super::paint::{indent, plain, table};
use super::text::{bytes, clean, count};
use super::{Paint, Tone};

/// How many names of what is gone are shown; `--json` has them all.
const SHOWN: usize = 40;

/// What slimming did; with `gaps`, what is missing and optional too.
pub fn slimmed(report: &Report, gaps: bool, paint: Paint) -> String {
    let mut parts = vec![format!(
        "{} {}\n{} → {}, {} left out, {} kept",
        paint.strong(&report.name),
        report.version,
        bytes(report.bytes_before),
        bytes(report.bytes_after),
        report.left_out.len(),
        report.kept.len()
    )];
    for (name, choices) in [("left out", &report.left_out), ("kept", &report.kept)] {
        if !choices.is_empty() {
            parts.push(format!(
                "{}\n{}",
                paint.strong(name),
                indent(&libraries(choices, paint), 2)
            ));
        }
    }
    if let Some(since) = &report.since {
        parts.push(growth(since, paint));
    }
    for note in &report.notes {
        parts.push(format!("note: {}", clean(note)));
    }
    if !report.shaken.is_empty() {
        let shaken: Vec<String> = report
            .shaken
            .iter()
            .map(|it| clean(&it.to_string()))
            .collect();
        let title = paint.strong("shaken");
        parts.push(format!("{title}\n{}", indent(&shaken.join("\n"), 2)));
    }
    if !report.rules.is_empty() {
        let told: Vec<String> = report
            .rules
            .iter()
            .map(|it| clean(&it.to_string()))
            .collect();
        let title = paint.strong("the project's rules");
        parts.push(format!("{title}\n{}", indent(&told.join("\n"), 2)));
    }
    if let Some(proof) = &report.proof {
        parts.push(verdict(proof, gaps, paint));
    }
    parts.join("\n\n")
}

/// The difference to an earlier version.
fn growth(since: &Growth, paint: Paint) -> String {
    let mut rows = Vec::new();
    for (what, list, sign) in [("new", &since.new, "+"), ("gone", &since.gone, "-")] {
        for one in list {
            let size = format!("{sign}{}", bytes(one.bytes));
            rows.push(vec![plain(what), plain(clean(&one.entry)), plain(size)]);
        }
    }
    for one in &since.changed {
        let was = one.was.as_deref().unwrap_or("another build");
        let entry = format!("{} (was {})", clean(&one.entry), clean(was));
        rows.push(vec![
            plain("changed"),
            plain(entry),
            plain(signed(one.bytes)),
        ]);
    }
    let head = format!(
        "{} {}: {}",
        paint.strong("since"),
        clean(&since.version),
        signed(since.bytes)
    );
    match rows.is_empty() {
        true => head,
        false => format!("{head}\n{}", indent(&table(paint, &[], rows), 2)),
    }
}

/// Bytes with their sign.
pub(super) fn signed(count: i64) -> String {
    let sign = if count < 0 { "-" } else { "+" };
    format!("{sign}{}", bytes(count.unsigned_abs()))
}

fn verdict(proof: &Verdict, gaps: bool, paint: Paint) -> String {
    let tone = match proof.outcome {
        Outcome::Links => Tone::Good,
        Outcome::LinksWithGaps => Tone::Busy,
        Outcome::Refused => Tone::Bad,
    };
    let java = match &proof.java {
        Some(version) => format!("on Java {version}"),
        None => format!(
            "on a Java that is not known: {} references into it are taken for granted",
            proof.assumed
        ),
    };
    let mut lines = vec![format!(
        "{} {}: {} of {}, {java}",
        paint.strong("proof"),
        paint.tone(tone, &proof.outcome.to_string()),
        count(proof.references, "reference"),
        count(proof.classes, "class")
    )];
    for fault in &proof.faults {
        lines.push(indent(&finding(fault), 2));
        lines.push(indent(&format!("→ {}", clean(&fault.remedy)), 4));
    }
    if !proof.gaps.is_empty() && !gaps {
        let gaps = count(proof.gaps.len(), "optional gap");
        lines.push(indent(&format!("{gaps}: list with --gaps"), 2));
    }
    for gap in proof.gaps.iter().filter(|_| gaps) {
        let why = gap.optional.map(|why| why.to_string()).unwrap_or_default();
        lines.push(indent(&format!("{} ({why})", finding(gap)), 2));
    }
    lines.push(Verdict::LIMITS.to_owned());
    lines.join("\n")
}

fn finding(finding: &Finding) -> String {
    clean(&finding.to_string())
}

/// What changed from one build of a base to another.
pub fn profile_diff(diff: &Diff, paint: Paint) -> String {
    if diff.is_empty() {
        return "the same".to_owned();
    }
    let file = |file: &Option<String>| plain(file.as_deref().map(clean).unwrap_or_default());
    let rows: Vec<_> = diff
        .libraries
        .iter()
        .map(|one| {
            vec![
                plain(clean(&one.library)),
                file(&one.before),
                file(&one.after),
            ]
        })
        .collect();
    let mut parts = Vec::new();
    if !rows.is_empty() {
        parts.push(table(paint, &["LIBRARY", "BEFORE", "AFTER"], rows));
    }
    if diff.own_changed {
        parts.push("the base's own classes changed".to_owned());
    }
    let [before, after] = &diff.java;
    if before != after {
        let told = |java: &Option<String>| java.clone().unwrap_or_else(|| "not known".to_owned());
        parts.push(format!("Java {} → {}", told(before), told(after)));
    }
    parts.push(format!(
        "{} new, {} gone, {} rebuilt; {} new, {} gone",
        count(diff.classes_new, "class"),
        diff.classes_gone.len(),
        diff.classes_rebuilt,
        count(diff.members_new, "member"),
        diff.members_gone.len()
    ));
    let gone: Vec<&String> = diff.classes_gone.iter().chain(&diff.members_gone).collect();
    if !gone.is_empty() {
        let mut lines: Vec<String> = gone.iter().take(SHOWN).map(|name| clean(name)).collect();
        if gone.len() > SHOWN {
            lines.push(format!("and {} more: all with --json", gone.len() - SHOWN));
        }
        let lines = indent(&lines.join("\n"), 2);
        parts.push(format!("{}\n{lines}", paint.strong("gone")));
    }
    parts.join("\n\n")
}

fn libraries(choices: &[Choice], paint: Paint) -> String {
    let rows = choices
        .iter()
        .map(|choice| {
            vec![
                plain(clean(&choice.entry)),
                plain(bytes(choice.bytes)),
                plain(clean(&choice.why.to_string())),
            ]
        })
        .collect();
    table(paint, &[], rows)
}

/// What a base provides.
pub fn profile(profile: &BaseProfile, paint: Paint) -> String {
    let all: u64 = profile.libraries.iter().map(|library| library.bytes).sum();
    let java = match &profile.java {
        Some(java) => format!("Java {}", clean(&java.0.version)),
        None => "Java not known".to_owned(),
    };
    let rows = profile
        .libraries
        .iter()
        .map(|library| {
            vec![
                plain(clean(&library.file)),
                plain(library.version.as_deref().map(clean).unwrap_or_default()),
                plain(bytes(library.bytes)),
            ]
        })
        .collect();
    format!(
        "{} {}\n{} jars, {}, {}, {java}\n\n{}",
        paint.strong("profile"),
        profile.digest(),
        profile.libraries.len(),
        bytes(all),
        count(profile.classes.len(), "class"),
        table(paint, &["LIBRARY", "VERSION", "SIZE"], rows)
    )
}
