//! `ferry slim` and `ferry base inspect`.
//!
//! In: what the library reports. Out: text.

use ferry_slim::{BaseProfile, Choice, Report};

use super::Paint;
use super::paint::{indent, plain, table};
use super::text::{bytes, clean};

/// What slimming did.
pub fn slimmed(report: &Report, paint: Paint) -> String {
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
    for note in &report.notes {
        parts.push(format!("note: {}", clean(note)));
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
        "{} {}\n{} jars, {}\n\n{}",
        paint.strong("profile"),
        profile.digest(),
        profile.libraries.len(),
        bytes(all),
        table(paint, &["LIBRARY", "VERSION", "SIZE"], rows)
    )
}
