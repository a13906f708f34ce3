//! The fake base says word for word what a real base said.

use ferry_fake_base::conformance::{RECORDED_2_1_6, transcript};
use ferry_fake_base::{FakeBase, Options};

#[tokio::test]
async fn the_fake_base_says_what_a_real_one_said() {
    let folder = tempfile::tempdir().unwrap();
    let base = FakeBase::start(Options::default()).await.unwrap();
    let said = transcript(&base.arklet_url, folder.path()).await.unwrap();
    let first = said
        .lines()
        .zip(RECORDED_2_1_6.lines())
        .position(|(fake, real)| fake != real);
    if let Some(line) = first {
        let around = |text: &str| -> String {
            text.lines()
                .skip(line.saturating_sub(4))
                .take(8)
                .map(|line| format!("{line}\n"))
                .collect()
        };
        panic!(
            "line {}\n--- fake\n{}--- real\n{}",
            line + 1,
            around(&said),
            around(RECORDED_2_1_6)
        );
    }
    assert_eq!(said.lines().count(), RECORDED_2_1_6.lines().count());
}
