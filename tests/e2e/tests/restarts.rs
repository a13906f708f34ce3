//! Bases that are restarted by their pool's driver, with six processes on a real nats-server: one at a time, and
//! with their modules again afterwards.

#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ferry_api::{BaseRequest, CommandState, CommandView, RestartState, RestartView, WhyQuery};
use ferry_events::Reason;
use ferry_rig::wait::until;
use support::{Line, RUN_LIMIT, jar};

/// What a driver asks of this process, and is answered: files in a folder.
struct Driver(tempfile::TempDir);

impl Driver {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// The configuration of prod's driver: it asks, and waits for an answer.
    fn toml(&self) -> String {
        let folder = self.0.path().display();
        let script = format!(
            "touch {folder}/$1.asked; while [ ! -e {folder}/$1.done ]; do sleep 0.05; done; cat {folder}/$1.done"
        );
        format!(
            "[pools.prod.restart]\nexec = [\"sh\", \"-c\", \"{script}\", \"restart\", \"{{base}}\"]\n"
        )
    }

    fn file(&self, base: &str, what: &str) -> PathBuf {
        self.0.path().join(format!("{base}.{what}"))
    }

    fn is_asked(&self, base: &str) -> bool {
        Path::exists(&self.file(base, "asked"))
    }

    async fn asked(&self, base: &str) -> Result<()> {
        until(
            &format!("the driver to restart {base}"),
            RUN_LIMIT,
            || async { Ok(self.is_asked(base).then_some(())) },
        )
        .await
    }

    fn done(&self, base: &str) -> Result<()> {
        std::fs::write(self.file(base, "done"), "").context("the driver's answer")
    }
}

impl Line {
    async fn restart(&self, base: &str) -> Result<CommandView> {
        let client = self.stack.client();
        let ask = BaseRequest {
            why: "its file handles are used up".into(),
        };
        let asked = client.restart_base(base, &ask).await?;
        until("the command to be settled", RUN_LIMIT, || async {
            let view = client.command(asked.id).await;
            Ok(view.ok().filter(|it| it.state != CommandState::Waiting))
        })
        .await
    }

    async fn restart_of(&self, base: &str) -> Result<Option<RestartView>> {
        let bases = self.stack.client().bases().await?;
        let of_base = bases.into_iter().find(|one| one.name == base);
        Ok(of_base.and_then(|one| one.restart))
    }

    async fn is_off_the_list(&self, base: &str) -> Result<()> {
        until(
            &format!("the end of {base}'s restart"),
            RUN_LIMIT,
            || async { Ok(self.restart_of(base).await?.is_none().then_some(())) },
        )
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bases_of_a_zone_are_restarted_one_after_the_other() -> Result<()> {
    let driver = Driver::new()?;
    let line = Line::start_with(&driver.toml()).await?;
    line.deploy(&jar("one")).await?;
    for base in ["prod-1", "prod-2"] {
        assert_eq!(line.restart(base).await?.state, CommandState::Taken);
    }
    for (number, base) in [(1, "prod-1"), (2, "prod-2")] {
        driver.asked(base).await?;
        if number == 1 {
            // The other one of its zone has to wait until this one is back with its module.
            let waits = line.restart_of("prod-2").await?.context("it is listed")?;
            assert_eq!(waits.state, RestartState::Listed);
        }
        line.bases[number].restart_empty();
        assert_eq!(
            line.bases[3 - number].modules().len(),
            1,
            "the other serves"
        );
        driver.done(base)?;
        line.is_off_the_list(base).await?;
        assert_eq!(line.bases[number].modules().len(), 1);
    }
    assert_eq!(line.answers().await?, ["one"; 3]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    let why = line.stack.client();
    let why = why.why("prod-1", &WhyQuery::default()).await?;
    let story: Vec<&str> = why.story.iter().map(|it| it.text.as_str()).collect();
    let told = |what: &str| story.iter().any(|text| text.contains(what));
    assert!(
        told("its file handles are used up") && told("prod-1 is back with its modules"),
        "{story:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_fails_is_shown_and_the_base_is_left() -> Result<()> {
    let driver = "[pools.prod.restart]\nexec = [\"sh\", \"-c\", \"echo no unit $1 >&2; exit 5\", \"restart\", \"{base}\"]\n";
    let line = Line::start_with(driver).await?;
    line.deploy(&jar("one")).await?;
    line.restart("prod-1").await?;
    let failed = until("the restart to fail", RUN_LIMIT, || async {
        let view = line.restart_of("prod-1").await?;
        Ok(view.filter(|it| it.state == RestartState::Failed))
    })
    .await?;
    let stop = failed.stop.context("why")?;
    assert_eq!(stop.code, Reason::RestartFailed);
    assert_eq!(stop.detail, "sh ended with exit status: 5: no unit prod-1");
    assert_eq!(line.answers().await?, ["one"; 3]);

    // Another environment's pool has none.
    let refused = line.restart("pre-1").await?;
    let stop = refused.stop.context("why")?;
    assert_eq!(
        (refused.state, stop.code),
        (CommandState::Refused, Reason::NoRestartDriver)
    );
    // The next push goes its way.
    line.deploy(&jar("two")).await?;
    assert_eq!(line.answers().await?, ["two"; 3]);
    Ok(())
}
