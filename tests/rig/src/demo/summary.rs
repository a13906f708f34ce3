//! What happened, in one table, and what did not hold.
//!
//! In: what became of each push. Out: text.

use comfy_table::{Table, presets};
use ferry_cli::screen::{Paint, took};

use super::checks::Checks;
use super::story::Told;

pub(super) fn text(pushes: &[Told], checks: &Checks, paint: Paint) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "push",
        "how it ended",
        "answering after",
        "all over after",
        "bases answer",
    ]);
    for push in pushes {
        let ended = &push.ended;
        let how = match &ended.finished.stop {
            Some(stop) => stop.reason.code(),
            None => "live on all three",
        };
        let live = ended.answered.filter(|_| ended.finished.stop.is_none());
        table.add_row([
            push.title.to_owned(),
            how.to_owned(),
            live.map(took).unwrap_or_default(),
            took(ended.millis),
            push.answers.join("; "),
        ]);
    }
    let mut text = format!("\n{table}\n");
    for failed in checks.failed() {
        let line = format!(
            "did not hold ({}): {} (found: {})",
            failed.push, failed.what, failed.found
        );
        text += &format!("{}\n", paint.bad(&line));
    }
    for left_out in checks.left_out() {
        text += &format!("{}\n", paint.bad(&format!("not shown: {left_out}")));
    }
    let of = checks.held() + checks.failed().len();
    let verdict = format!("{} of {of} expectations held", checks.held());
    text + &if checks.all_held() {
        paint.good(&verdict)
    } else {
        paint.bad(&verdict)
    }
}
