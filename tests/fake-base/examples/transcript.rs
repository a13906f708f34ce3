//! Writes down what a base says: `cargo run -p ferry-fake-base --example
//! transcript -- http://127.0.0.1:1238 > tests/golden/arklet-2.1.6.txt`. The
//! base must run on this machine and have no modules.

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args()
        .nth(1)
        .context("give arklet's address, such as http://127.0.0.1:1238")?;
    let folder = std::env::temp_dir().join("ferry-transcript");
    std::fs::create_dir_all(&folder)?;
    print!(
        "{}",
        ferry_fake_base::conformance::transcript(&url, &folder).await?
    );
    Ok(())
}
