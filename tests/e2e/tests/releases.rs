//! Two modules that go live together, on a real nats-server with six processes: a push of both, with a
//! stand-in for Maven, is verified for both or taken back for both.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use ferry_events::{Body, Event, PushId, Reason, RunId, joint::Progress, run::Outcome};
use ferry_rig::{
    chaos::{Forge, Journal, World, deliver, journal, world::Change},
    fleet::Size,
    git::Push,
};

/// A push takes some seconds; the rest is for a machine that is busy.
const REST_LIMIT: Duration = Duration::from_secs(180);

/// The price comes after the cart.
const RELEASE: &str = "
[releases.shop.modules.cart-1]
[releases.shop.modules.price-1]
after = [\"cart-1\"]
";

struct Scene {
    world: World,
    journal: Journal,
    forge: Forge,
    pushes: Vec<PushId>,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = Size {
            servers: 1,
            replicas: 1,
        };
        let world = World::start_with(dir.path(), &size, 1, RELEASE).await?;
        Ok(Self {
            journal: journal::follow(&world.fleet).await?,
            forge: Forge::of(&world.fleet)?,
            world,
            pushes: Vec::new(),
            _dir: dir,
        })
    }

    /// Tells the gateway of a push, and waits until all its runs are over.
    async fn comes(&mut self, push: &Push) -> Result<()> {
        let (accepted, _) = deliver(&self.forge, 0, push).await;
        self.pushes
            .push(accepted.context("the gateway takes the push")?);
        self.journal.rest(&self.pushes, REST_LIMIT).await
    }

    /// Changes both modules and pushes; the price answers with a status.
    async fn change(&mut self, text: &str, status: u16) -> Result<()> {
        let source = &self.world.repositories[0];
        let change = |module: usize, status: u16| Change {
            module,
            text: text.into(),
            status,
            takes: 0,
        };
        let push = source.push(&[change(0, 200), change(1, status)]).await?;
        self.comes(&push).await
    }

    fn events(&self) -> Vec<Body> {
        let told = self.journal.events().into_iter();
        told.filter_map(|told| told.event)
            .map(|event: Event| event.body)
            .collect()
    }

    /// How the runs of a head ended, by module.
    fn ends(&self, head: u64) -> BTreeMap<String, (Outcome, Option<ferry_events::Stop>)> {
        let mut ends = BTreeMap::new();
        for body in self.events() {
            if let Body::RunFinished(p) = body
                && p.run == RunId::of("shop-1", "main", head, &p.module)
            {
                ends.insert(p.module.clone(), (p.outcome, p.stop.clone()));
            }
        }
        ends
    }

    /// Every base answers this with both modules.
    async fn answers(&self, text: &str) -> Result<()> {
        for module in ["cart-1", "price-1"] {
            for base in self.world.bases.all() {
                let answer = base.get(&format!("/{module}/")).await?;
                assert_eq!(
                    answer,
                    (200, text.to_owned()),
                    "{module} on {}",
                    base.name()
                );
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_modules_are_verified_together_or_both_are_back() -> Result<()> {
    let mut scene = Scene::start().await?;
    let first = scene.world.repositories[0].first();
    scene.comes(&first.context("the first push")?).await?;
    let ends = scene.ends(1);
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(
        ends.values()
            .all(|(outcome, _)| *outcome == Outcome::Success),
        "{ends:?}"
    );
    scene.answers("the first").await?;

    // The second one fails: the first one, which was well, goes back too.
    scene.change("the second", 500).await?;
    let ends = scene.ends(2);
    let stop = |module: &str| {
        let (outcome, stop) = &ends[module];
        assert_eq!(*outcome, Outcome::Failure, "{ends:?}");
        stop.clone().expect("a reason")
    };
    assert_eq!(stop("price-1").reason, Reason::ProbeFailed);
    let of_cart = stop("cart-1");
    assert_eq!(of_cart.reason, Reason::ReleaseFailed);
    assert!(
        of_cart
            .detail
            .starts_with("release shop: price-1 failed in pre: probe-failed"),
        "{of_cart}"
    );
    let cart = RunId::of("shop-1", "main", 2, "cart-1");
    let was_well = scene.events().iter().any(|body| {
        matches!(body, Body::JointReported(p) if p.run == cart && p.progress == Progress::Well)
    });
    assert!(was_well, "the cart was well before it went back");
    scene.answers("the first").await?;

    // What failed only because of the other comes again by itself.
    scene.change("the third", 200).await?;
    let ends = scene.ends(3);
    assert!(
        ends.values()
            .all(|(outcome, _)| *outcome == Outcome::Success),
        "{ends:?}"
    );
    scene.answers("the third").await
}
