//! How long a build takes warm and cold, from the checkout to the jar in the store. A benchmark, not a test:
//! `cargo test -p ferry-builder --test speed -- --ignored --nocapture`.

mod support;

use std::{fs, time::Instant};

use support::shop::Shop;

/// Builds of each kind.
const BUILDS: usize = 11;

fn median(mut millis: Vec<u128>) -> u128 {
    millis.sort_unstable();
    millis[millis.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark: it takes a minute and wants the machine for itself"]
async fn how_long_builds_take() {
    let warm = Shop::new(|_| {}).await;
    let cold = warm.twin(|config| config.builder.warm = false);
    let name = "src/main/java/ferry/demo/hello/HelloApplication.java";
    let file = warm.repository.work().join(name);
    let text = fs::read_to_string(&file).expect("a class");
    let mut took = [Vec::new(), Vec::new()];
    for build in 0..BUILDS {
        fs::write(&file, format!("{text}// {build}\n")).expect("a class");
        let push = warm.repository.commit_all("One more").await;
        let commit = push.expect("a commit").after;
        for (took, shop) in took.iter_mut().zip([&warm, &cold]) {
            let began = Instant::now();
            let (result, log) = shop.build(&commit).await;
            took.push(began.elapsed().as_millis());
            assert!(result.is_ok(), "{result:?}: {log:#?}");
        }
    }
    let [warm, cold] = took;
    println!("in a new worker {} ms", warm[0]);
    println!(
        "warm {} ms, cold {} ms (medians of the {} after the first)",
        median(warm[1..].to_vec()),
        median(cold[1..].to_vec()),
        BUILDS - 1
    );
    println!("warm {warm:?}\ncold {cold:?}");
}
