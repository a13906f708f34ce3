//! What an install takes of a base's metaspace is told where the pool asks for it.

mod support;

use ferry_fake_base::jar::Behaviour;
use support::on_fake::{OnFake, web};

/// An install of a module that takes so much; what was told.
async fn told(asks: u64, takes: u64) -> Option<u64> {
    let mut line = OnFake::with(|config| {
        config.pools.get_mut("one").unwrap().metaspace_growth = asks;
    })
    .await;
    let jar = web("1").behaves(Behaviour {
        metaspace_bytes: takes,
        ..Behaviour::default()
    });
    let one = line.store(&jar, "1").await;
    let done = line.deploy("one", Some(one.clone()), None).await;
    assert_eq!(done.stop, None);
    // What was there already took nothing.
    let again = line.deploy("again", Some(one), None).await;
    assert_eq!((again.stop, again.metaspace_growth), (None, None));
    done.metaspace_growth
}

#[tokio::test]
async fn an_install_tells_what_it_took_where_it_is_asked() {
    let took = told(16 << 20, 3 << 20).await.expect("the base tells");
    assert!(took >= 3 << 20, "{took}");
    assert_eq!(told(0, 3 << 20).await, None);
}
