//! The load balancer before one environment's bases.
//!
//! In: `POST /BASE/drain`, `POST /BASE/undrain`, `GET /BASE`; changes that reach a base. Out: answers, and which
//! changes reached a base that was in service. It has no way to refuse a call that comes too late: what such
//! a one puts back in service is not judged until the next drain.

use std::collections::{BTreeMap, BTreeSet};

use ferry_web::{Answer, Request};

/// The environment whose bases are behind it.
pub const BEHIND: &str = "prod";
/// The calls that change a base.
const CHANGES: [&str; 2] = ["/installBiz", "/uninstallBiz"];
/// A call that was on its way for longer was held up; whoever sent it may not have the base any more.
pub const LATE_MS: u64 = 1_000;

/// Its part of a configuration.
pub fn config() -> String {
    let call = |way: &str, holds: &str| {
        format!(
            "{way} = {{ url = \"http://lb.balancer/{{base}}/{way}\", \
             check = {{ url = \"http://lb.balancer/{{base}}\", contains = \"{holds}\" }} }}\n"
        )
    };
    format!(
        "[pools.{BEHIND}.drain]\nmodules = \"all\"\n{}{}",
        call("drain", "out"),
        call("undrain", "in")
    )
}

/// What it knows.
#[derive(Debug, Default)]
pub struct Balancer {
    out: BTreeSet<String>,
    /// Bases that a late call put back.
    spoilt: BTreeSet<String>,
    /// Requests for a change, and whether their base was in service when they reached it.
    requests: BTreeMap<String, bool>,
}

impl Balancer {
    /// Answers a call that was `late_ms` on its way.
    pub fn answer(&mut self, request: &Request, late_ms: u64) -> Answer {
        let path = request.url.path().trim_start_matches('/');
        let (base, way) = path.split_once('/').unwrap_or((path, ""));
        match way {
            "drain" => {
                self.out.insert(base.to_owned());
                self.spoilt.remove(base);
            }
            "undrain" => {
                self.out.remove(base);
                if late_ms > LATE_MS {
                    self.spoilt.insert(base.to_owned());
                }
            }
            _ => {}
        }
        let state = if self.out.contains(base) { "out" } else { "in" };
        Answer {
            status: 200,
            location: None,
            body: state.as_bytes().to_vec(),
            whole: true,
        }
    }

    /// A call reaches a base. Only a request that comes for the first time can change it.
    pub fn reaches(&mut self, base: &str, path: &str, body: &[u8]) {
        if !CHANGES.contains(&path) {
            return;
        }
        let body: Result<serde_json::Value, _> = serde_json::from_slice(body);
        let id = body.ok().and_then(|body| {
            let id = body.get("requestId")?.as_str()?;
            Some(id.to_owned())
        });
        let is_in = !self.out.contains(base) && !self.spoilt.contains(base);
        if let Some(id) = id {
            self.requests.entry(id).or_insert(is_in);
        }
    }

    /// Whether a request reached a base that was in service.
    pub fn was_in_service(&self, request: &str) -> bool {
        self.requests.get(request) == Some(&true)
    }

    /// The bases that are out.
    pub fn out(&self) -> Vec<String> {
        self.out.iter().cloned().collect()
    }
}
