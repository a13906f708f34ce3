//! A slimmer that cannot handle anything before it is mended, on the real runtime.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ferry_config::Config;
use ferry_events::{Event, Service};
use ferry_runtime::{Context, Decide, Decision, Done, Effects, Fault, Input, Job, Key};

/// The slimmer.
#[derive(Clone, Default)]
pub struct Faulty {
    /// Whether it is mended.
    pub mended: Arc<AtomicBool>,
}

impl Decide for Faulty {
    /// How many messages it has handled.
    type State = u32;
    type Work = ();
    type Outcome = ();

    fn service(&self) -> Service {
        Service::Slimmer
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        vec![Key::new("slim", &[&event.id.to_string()])]
    }

    fn decide(
        &self,
        _: &Key,
        state: &u32,
        _: &Input<()>,
        _: &Context,
    ) -> Result<Decision<u32>, Fault> {
        if self.mended.load(Ordering::SeqCst) {
            Ok(Decision::to(state + 1))
        } else {
            Err(Fault("a fault of the tests".into()))
        }
    }
}

#[async_trait::async_trait]
impl Effects<Faulty> for Faulty {
    async fn perform(&self, _: Job<()>) -> Done<()> {
        ().into()
    }
}
