//! Takes a base out of its load balancer, and puts it back.
//!
//! In: a base, a module, `[pools.X.drain]`. Out: that it is so, or why that is not known. A load balancer has
//! no request ids, so what fences a call is a look at the base's record before and after it: whoever stood
//! still meanwhile and finds that the record wants the opposite by now, asks for the opposite.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ferry_config::{AtDeadline, Call, CallMethod, Config, Drain, Names};
use ferry_events::{Reason, Stop, task::Requested};
use ferry_runtime::{Hands, Job};
use ferry_web::{Answer, Body, HeaderMap, HeaderName, HeaderValue, Request, Unanswered, Web};
use tracing::{info, warn};
use url::Url;

use super::{Arklet, InstallerEffects, fence, patience::patiently};
use crate::decide::{DrainedEnd, Out, Work};

/// The longest answer that is read: the statistics of a thousand servers.
const BODY_MAX: usize = 1 << 20;
/// So much of an answer stands in a reason: a load balancer's error is a line.
const SAID_MAX: usize = 200;
/// How long a call that came too late is taken back; then whoever has the base in hand has long seen it.
const TAKE_BACK_LIMIT: Duration = Duration::from_secs(60);

/// What a load balancer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    Back,
}

/// Bases that this process has taken out itself, each with the module for which: what it knows, and does not only
/// read in a record. A record that comes from a backup can be older than the load balancer's own.
#[derive(Debug, Default)]
pub(super) struct KnownOut(Mutex<BTreeSet<(String, String)>>);

impl KnownOut {
    fn set(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, base: &str, module: &str) -> bool {
        let wanted = (base.to_owned(), module.to_owned());
        self.set().contains(&wanted)
    }

    fn note(&self, base: &str, module: &str) {
        self.set().insert((base.to_owned(), module.to_owned()));
    }

    fn forget(&self, base: &str) {
        self.set().retain(|(known, _)| known != base);
    }
}

/// The load balancer of one base, for one module.
struct Balancer {
    web: Arc<dyn Web>,
    hands: Hands,
    drain: Drain,
    headers: HeaderMap,
    base: String,
    zone: String,
    module: String,
}

impl InstallerEffects {
    /// Takes the base out, and looks what it runs by then.
    pub(super) async fn drain(
        &self,
        arklet: &Arklet,
        job: &Job<Work>,
        task: &Requested,
    ) -> DrainedEnd {
        let (module, environment) = (&task.module, &task.environment);
        if !fence::wait_in_force(&self.hands, module, environment, &task.plan).await {
            return DrainedEnd::Outdated;
        }
        if let Err(why) = self.tell(&job.config, &task.base, module, Way::Out).await {
            let stop = Stop::new(Reason::DrainFailed, why);
            return DrainedEnd::Failed { stop };
        }
        match patiently(self.silence, &task.base, || arklet.observe(&task.biz)).await {
            Ok(seen) => DrainedEnd::Done { seen },
            Err(error) => DrainedEnd::Failed { stop: error.stop() },
        }
    }

    /// Sees to it that a base which its record has as out is out, before it is changed.
    pub(super) async fn keep_out(&self, config: &Config, task: &Requested) -> Result<(), Stop> {
        let (base, module) = (&task.base, &task.module);
        if self.out.has(base, module) {
            return Ok(());
        }
        info!(
            base,
            module, "its load balancer is asked once more to leave it out"
        );
        let told = self.tell(config, base, module, Way::Out).await;
        told.map_err(|why| Stop::new(Reason::DrainFailed, why))
    }

    /// Puts the base back; why that is not known, where it is not.
    pub(super) async fn undrain(&self, config: &Config, module: &str, out: &Out) -> Option<Stop> {
        let told = self.tell(config, &out.base, module, Way::Back).await;
        told.err()
            .map(|why| Stop::new(Reason::UndrainFailed, why).on(&out.base))
    }

    pub(super) async fn tell(
        &self,
        config: &Config,
        base: &str,
        module: &str,
        way: Way,
    ) -> Result<(), String> {
        let Some((zone, drain)) = config.base(base).and_then(|(pool, base)| {
            let drain = config.pools.get(pool)?.drain.as_ref()?;
            Some((base.zone.clone(), drain.clone()))
        }) else {
            warn!(base, ?way, "the configuration says no more how to drain it");
            return Ok(());
        };
        let mut headers = HeaderMap::new();
        if let Some(reference) = &drain.secret {
            let secret = reference.resolve(&self.secrets);
            let secret = secret.map_err(|error| error.to_string())?;
            let name = HeaderName::from_bytes(drain.header.as_bytes());
            let name = name.map_err(|error| format!("header {:?}: {error}", drain.header))?;
            let value = HeaderValue::from_bytes(secret.bytes());
            let mut value = value.map_err(|_| format!("the value of {name} is no header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let balancer = Balancer {
            web: self.web.clone(),
            hands: self.hands.clone(),
            drain,
            headers,
            base: base.to_owned(),
            zone,
            module: module.to_owned(),
        };
        if way == Way::Back {
            self.out.forget(base);
        }
        Arc::new(balancer).tell(way).await?;
        if way == Way::Out {
            self.out.note(base, module);
        }
        Ok(())
    }
}

impl Balancer {
    /// Asks until it is so; or why it is not by the deadline.
    async fn tell(self: &Arc<Self>, way: Way) -> Result<(), String> {
        let limit = self.drain.deadline;
        let (mut told, mut why) = (false, "it was not asked yet".to_owned());
        let asking = self.ask(way, &mut told, &mut why);
        match tokio::time::timeout(limit, asking).await {
            Ok(done) => done,
            Err(_) if told && way == Way::Out && self.drain.at_deadline == AtDeadline::Proceed => {
                info!(
                    base = self.base,
                    why, "not empty by the deadline; it is changed all the same"
                );
                Ok(())
            }
            Err(_) => Err(format!(
                "not done within {}: {why}",
                humantime::format_duration(limit)
            )),
        }
    }

    async fn ask(
        self: &Arc<Self>,
        way: Way,
        told: &mut bool,
        why: &mut String,
    ) -> Result<(), String> {
        let call = self.call_of(way);
        loop {
            match self.call(way).await {
                Ok(answer) if call.is_done(answer.status) => break,
                Ok(answer) => {
                    *why = format!("{} {}", self.shown(call), self.said(&answer));
                    if is_final(answer.status) {
                        return Err(why.clone());
                    }
                }
                Err(error) => *why = format!("{}: {error}", self.shown(call)),
            }
            tokio::time::sleep(self.drain.interval).await;
        }
        *told = true;
        let Some(check) = &call.check else {
            tokio::time::sleep(call.wait).await;
            return Ok(());
        };
        *why = "its check was not asked yet".to_owned();
        tokio::time::sleep(call.wait).await;
        let names = self.names(&self.module);
        let url = check.url_for(&names).map_err(|error| error.to_string())?;
        let shown = without_query(&url);
        loop {
            let request = self.request("GET", url.clone(), None);
            match self.web.send(request).await {
                Ok(answer) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    if check.is_met(&names, answer.status, &body) {
                        return Ok(());
                    }
                    *why = format!("the check {shown} {}", self.said(&answer));
                }
                Err(error) => *why = format!("the check {shown}: {error}"),
            }
            tokio::time::sleep(self.drain.interval).await;
        }
    }

    /// One call. It goes on when nobody waits for it any more, because what it has done must be looked
    /// after.
    async fn call(self: &Arc<Self>, way: Way) -> Result<Answer, Unanswered> {
        let balancer = self.clone();
        let calling = tokio::spawn(async move {
            if balancer.wanted().await.0 != way {
                return Err(Unanswered::Broken(
                    "another task has the base in hand".into(),
                ));
            }
            let answer = balancer.send(way, &balancer.module).await;
            let after = balancer.take_back(way);
            if tokio::time::timeout(TAKE_BACK_LIMIT, after).await.is_err() {
                warn!(
                    base = balancer.base,
                    ?way,
                    "nobody knows whether the call came too late"
                );
            }
            answer
        });
        let ended = calling.await;
        ended.unwrap_or_else(|error| Err(Unanswered::Broken(error.to_string())))
    }

    /// Where the record wants the opposite of what was just asked for, asks for that.
    async fn take_back(&self, mut last: Way) {
        loop {
            let (wanted, module) = self.wanted().await;
            if wanted == last {
                return;
            }
            info!(
                base = self.base,
                ?last,
                "a call came too late and is taken back"
            );
            if let Err(error) = self.send(wanted, &module).await {
                warn!(base = self.base, %error, "a call that came too late is not taken back yet");
                tokio::time::sleep(self.drain.interval).await;
                continue;
            }
            last = wanted;
        }
    }

    /// What the committed record wants of the load balancer, and for which module.
    async fn wanted(&self) -> (Way, String) {
        let base = fence::wait_record(&self.hands, &self.base).await;
        let Some(base) = base else {
            return (Way::Back, self.module.clone());
        };
        if base.is_out_for_restart() {
            return (Way::Out, self.module.clone());
        }
        match base.out_for() {
            Some(module) if module == self.module || !self.drain.is_by_module() => {
                (Way::Out, module.to_owned())
            }
            _ => (Way::Back, self.module.clone()),
        }
    }

    fn call_of(&self, way: Way) -> &Call {
        match way {
            Way::Out => &self.drain.drain,
            Way::Back => &self.drain.undrain,
        }
    }

    fn names<'a>(&'a self, module: &'a str) -> Names<'a> {
        Names {
            base: &self.base,
            zone: &self.zone,
            module,
        }
    }

    async fn send(&self, way: Way, module: &str) -> Result<Answer, Unanswered> {
        let call = self.call_of(way);
        let names = self.names(module);
        let url = call.url_for(&names);
        let url = url.map_err(|error| Unanswered::Broken(error.to_string()))?;
        let body = call.body.as_ref().map(|body| Body {
            content_type: call.content_type.clone(),
            bytes: names.fill(body).into_bytes(),
        });
        self.web.send(self.request(method(call), url, body)).await
    }

    fn request(&self, method: &'static str, url: Url, body: Option<Body>) -> Request {
        Request {
            method,
            url,
            headers: self.headers.clone(),
            body,
            timeout: self.drain.timeout,
            body_max: BODY_MAX,
        }
    }

    fn shown(&self, call: &Call) -> String {
        let url = call.url_for(&self.names(&self.module));
        let url = url
            .as_ref()
            .map_or_else(|_| call.url.clone(), without_query);
        format!("{} {url}", method(call))
    }

    /// What was answered, in a line and without the secret.
    fn said(&self, answer: &Answer) -> String {
        let text = String::from_utf8_lossy(&answer.body);
        let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in self.headers.values() {
            let secret = String::from_utf8_lossy(secret.as_bytes());
            line = line.replace(secret.as_ref(), "…");
        }
        if let Some((cut, _)) = line.char_indices().nth(SAID_MAX) {
            line.truncate(cut);
        }
        let dots = if line.is_empty() { "" } else { ": " };
        format!("answered {}{dots}{line}", answer.status)
    }
}

fn method(call: &Call) -> &'static str {
    match call.method {
        CallMethod::Get => "GET",
        CallMethod::Post => "POST",
        CallMethod::Put => "PUT",
        CallMethod::Patch => "PATCH",
        CallMethod::Delete => "DELETE",
    }
}

/// Whether the same request will be answered so for ever: only a person can mend it. Time-outs, conflicts
/// and limits of rate pass.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 423 | 425 | 429)
}

/// An address as it may be shown: a query can hold a token.
fn without_query(url: &Url) -> String {
    url[..url::Position::AfterPath].to_owned()
}
