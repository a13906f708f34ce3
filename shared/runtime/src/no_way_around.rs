//! A handler has no way around the runtime: what would be one does not compile.
//!
//! In: nothing. Out: documentation tests. Each example but the first is that first one with one line
//! more, so that nothing else can be why it does not compile.
//!
//! What a service may do, outside and in a decision:
//!
//! ```
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! Hands cannot commit.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         feeder.hands().commit(ferry_bus::Batch::default()).await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! Nor set a deadline.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         feeder.hands().set_timer(ferry_events::Service::Installer, "a", chrono::DateTime::UNIX_EPOCH).await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! Nor put a dead letter somewhere.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         feeder.hands().bury(todo!(), false).await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! Nor open a consumer, whose deliveries could be acked.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         feeder.hands().consume(ferry_events::Service::Installer, ferry_bus::Source::Work).await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! The bus that they stand on is theirs.
//!
//! ```compile_fail,E0616
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         let _ = &feeder.hands().bus;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! A feeder has actors behind it, and shows none.
//!
//! ```compile_fail,E0616
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!         let _ = &feeder.registry;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! A job has no delivery.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!         job.ack().await;
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! And no bus.
//!
//! ```compile_fail,E0609
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!         let _ = &job.bus;
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!     }
//! }
//! ```
//!
//! A decision gets the event, not its delivery.
//!
//! ```compile_fail,E0599
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!         event.ack();
//!     }
//! }
//! ```
//!
//! And a context without a bus.
//!
//! ```compile_fail,E0609
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_way_around/service.in"));
//! #[async_trait::async_trait]
//! impl Effects<Taker> for Hand {
//!     async fn perform(&self, job: Job<()>) -> ferry_runtime::Done<()> {
//!         let _ = (&job.key, job.attempt, &job.config);
//!         job.work.into()
//!     }
//!     async fn watch(&self, feeder: Feeder<Taker>) {
//!         let _ = feeder.hands().read("ferry.config.current").await;
//!     }
//! }
//! fn decide(input: &Input<()>, context: &Context) {
//!     let _ = (context.now, &context.revision);
//!     if let Input::Event(event) = input {
//!         let _ = event.id;
//!         let _ = &context.bus;
//!     }
//! }
//! ```
