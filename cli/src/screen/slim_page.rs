//! `ferry slim --html`: the report as a page. In: the report. Out: HTML that
//! needs nothing else: no script, no picture, no address; whatever a jar says is
//! escaped.

use ferry_slim::{Choice, Finding, Growth, Outcome, Report, Verdict};
use maud::{DOCTYPE, Markup, html};

use super::slim::signed;
use super::text::{bytes, count};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color-scheme:light dark}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #8884;vertical-align:top}td.n{text-align:right;white-space:nowrap}.good{color:#18794e}.busy{color:#946800}.bad{color:#cd2b31}";

/// The page.
pub fn slim_page(report: &Report) -> String {
    let title = format!("{} {}", report.name, report.version);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (STYLE) }
            }
            body {
                h1 { (title) }
                p {
                    (bytes(report.bytes_before)) " → " (bytes(report.bytes_after)) ", "
                    (report.left_out.len()) " left out, " (report.kept.len()) " kept"
                }
                @if let Some(since) = &report.since { (growth(since)) }
                @if let Some(proof) = &report.proof { (verdict(proof)) }
                @if !report.notes.is_empty() {
                    h2 { "Notes" }
                    ul { @for note in &report.notes { li { (note) } } }
                }
                (choices("Kept", &report.kept))
                (choices("Left out", &report.left_out))
                h2 { "Names" }
                table {
                    tr { th { "packaged" } td { code { (report.packaged) } } }
                    tr { th { "slimmed" } td { code { (report.digest) } } }
                    @if let Some(profile) = &report.profile {
                        tr { th { "base profile" } td { code { (profile) } } }
                    }
                    @if !report.declared_libraries.is_empty() {
                        tr { th { "declared-libraries" } td { (report.declared_libraries.join(", ")) } }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn choices(title: &str, list: &[Choice]) -> Markup {
    html! {
        @if !list.is_empty() {
            h2 { (title) }
            table {
                @for one in list {
                    tr { td { (one.entry) } td.n { (bytes(one.bytes)) } td { (one.why) } }
                }
            }
        }
    }
}

fn growth(since: &Growth) -> Markup {
    html! {
        h2 { "Since " (since.version) ": " (signed(since.bytes)) }
        table {
            @for one in &since.new {
                tr { td { "new" } td { (one.entry) } td.n { "+" (bytes(one.bytes)) } }
            }
            @for one in &since.changed {
                tr {
                    td { "changed" }
                    td { (one.entry) " (was " (one.was.as_deref().unwrap_or("another build")) ")" }
                    td.n { (signed(one.bytes)) }
                }
            }
            @for one in &since.gone {
                tr { td { "gone" } td { (one.entry) } td.n { "-" (bytes(one.bytes)) } }
            }
        }
    }
}

fn verdict(proof: &Verdict) -> Markup {
    let tone = match proof.outcome {
        Outcome::Links => "good",
        Outcome::LinksWithGaps => "busy",
        Outcome::Refused => "bad",
    };
    html! {
        h2 { "Proof: " span class=(tone) { (proof.outcome) } }
        p {
            (count(proof.references, "reference")) ", " (proof.classes) " of the module's classes, "
            @match &proof.java {
                Some(version) => { "Java " (version) }
                None => { "the Java is not known: " (proof.assumed) " references into it are taken for granted" }
            }
        }
        (findings(&proof.faults))
        @if !proof.gaps.is_empty() {
            details {
                summary { (count(proof.gaps.len(), "optional gap")) }
                (findings(&proof.gaps))
            }
        }
        p { (Verdict::LIMITS) }
    }
}

fn findings(list: &[Finding]) -> Markup {
    html! {
        ul {
            @for one in list {
                li {
                    (one)
                    @match one.optional {
                        Some(why) => { " (" (why) ")" }
                        None => { br; "→ " (one.remedy) }
                    }
                }
            }
        }
    }
}
