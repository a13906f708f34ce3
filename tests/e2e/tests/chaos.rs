//! Two minutes of `cargo xtask chaos`, with a seed that stays.
//!
//! In: a schedule of kills and freezes over all processes, pushes at a steady rate. Out: nothing lost,
//! nothing doubled, nothing left undone.

use std::time::Duration;

use anyhow::Result;
use ferry_rig::{
    chaos::{self, Plan},
    tools,
};

/// With this seed each service and nats-server are killed and frozen, one for longer than a message
/// may be in hand.
const SEED: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn two_minutes_of_kills_and_freezes_lose_and_double_nothing() -> Result<()> {
    let plan = Plan {
        length: Duration::from_secs(120),
        seed: SEED,
        servers: 1,
        dir: tools::target_dir().join("chaos").join("test"),
    };
    let report = chaos::run(&plan, |_| {}).await?;
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    let each = report.done.values();
    let each = each.map(|count| count.kills > 0 && count.freezes > 0);
    assert_eq!(each.filter(|both| *both).count(), 7, "{report}");
    Ok(())
}
