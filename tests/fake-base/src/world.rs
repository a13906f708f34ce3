//! What a base holds: modules, records, locks, metaspace. Goes in: what
//! happened. Comes out: the new state and arklet's JSON for it. No I/O and no
//! waiting: callers hold it behind a mutex for a moment only.

use std::collections::BTreeMap;

use ferry_ark::BizState;
use ferry_ark::arklet::Command;
use serde_json::{Map, Value, json};

use crate::faults::StuckAt;
use crate::jar::Behaviour;
use crate::java::Throwable;
use crate::ledger::now_ms;

/// A module in the base.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: BizState,
    pub(crate) main_class: String,
    /// As the manifest says it.
    pub(crate) web_context_path: Option<String>,
    /// With a leading slash; None where it serves no HTTP.
    pub(crate) context: Option<String>,
    pub(crate) priority: i32,
    pub(crate) declared_mode: bool,
    pub(crate) behaviour: Behaviour,
    /// How often its state changed; arklet lists that many empty objects.
    pub(crate) changes: usize,
}

impl Module {
    pub(crate) fn identity(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }

    fn become_state(&mut self, state: BizState) {
        self.state = state;
        self.changes += 1;
    }
}

/// A process record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    meta: Value,
    thread: Option<u64>,
    status: &'static str,
    message: Option<String>,
    throwable: Option<Value>,
    start: u64,
    end: u64,
    stuck: Option<StuckAt>,
}

/// Spelling that differs between versions of arklet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// States in upper case, no metaspace in `/health`, no `installStrategy`.
    V2_1_3,
    /// States in lower case, metaspace in bytes.
    #[default]
    V2_1_6,
}

/// The state of one life of a base.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) dialect: Dialect,
    pub(crate) base_name: String,
    pub(crate) metaspace_max: Option<u64>,
    /// How often the base was restarted before.
    pub(crate) restarts: u64,
    modules: Vec<Module>,
    records: BTreeMap<String, Record>,
    locks: BTreeMap<String, Command>,
    threads: u64,
    /// Not given back by uninstalls.
    leaked: u64,
}

/// Used by a real base without a module.
const METASPACE_OF_THE_BASE: u64 = 54 << 20;
/// Left behind by each install and uninstall of a real web module.
const METASPACE_LEAK: u64 = 80 << 10;

impl World {
    /// A base with nothing in it.
    pub(crate) fn new(dialect: Dialect, base_name: String, metaspace_max: Option<u64>) -> Self {
        Self {
            dialect,
            base_name,
            metaspace_max,
            ..Self::default()
        }
    }

    /// As after a restart: the same base, and nothing in it.
    pub(crate) fn restarted(&self) -> Self {
        Self {
            restarts: self.restarts + 1,
            ..Self::new(self.dialect, self.base_name.clone(), self.metaspace_max)
        }
    }

    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules
    }

    pub(crate) fn get(&self, name: &str, version: &str) -> Option<&Module> {
        self.modules
            .iter()
            .find(|module| module.name == name && module.version == version)
    }

    fn get_mut(&mut self, name: &str, version: &str) -> Option<&mut Module> {
        self.modules
            .iter_mut()
            .find(|module| module.name == name && module.version == version)
    }

    /// The module that answers at a path of the modules' port.
    pub(crate) fn at_path(&self, path: &str) -> Option<&Module> {
        self.modules
            .iter()
            .filter(|module| !matches!(module.state, BizState::Resolved | BizState::Broken))
            .filter(|module| {
                module.context.as_deref().is_some_and(|context| {
                    context == "/"
                        || path
                            .strip_prefix(context)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
            })
            .max_by_key(|module| module.context.as_ref().map(String::len))
    }

    /// Registers a module before its start. False: it is there already.
    pub(crate) fn register(&mut self, mut module: Module) -> bool {
        if self.get(&module.name, &module.version).is_some() {
            return false;
        }
        module.become_state(BizState::Resolved);
        self.modules.push(module);
        self.modules.sort_by(|a, b| {
            (a.priority, &a.name, &a.version).cmp(&(b.priority, &b.name, &b.version))
        });
        true
    }

    /// Why a start cannot succeed besides the module's own reasons.
    pub(crate) fn obstacle(&self, name: &str, version: &str) -> Option<Throwable> {
        let module = self.get(name, version)?;
        if self
            .metaspace_max
            .is_some_and(|max| self.metaspace_used() > max)
        {
            return Some(Throwable::new("java.lang.OutOfMemoryError", "Metaspace"));
        }
        let taken = self.modules.iter().any(|other| {
            other.identity() != module.identity()
                && other.context.is_some()
                && other.context == module.context
        });
        taken.then(|| {
            let context = module.context.as_deref().unwrap_or_default();
            Throwable::new(
                "java.lang.IllegalArgumentException",
                format!(
                    "Child name [{}] is not unique",
                    context.trim_start_matches('/')
                ),
            )
            .below(
                "org.springframework.context.ApplicationContextException",
                Some("Unable to start web server"),
            )
        })
    }

    /// The module started; it is the active one if none of its name is.
    pub(crate) fn started(&mut self, name: &str, version: &str, takes_over: bool) {
        let active = |module: &&mut Module| module.name == name && module.state.is_active();
        let other = self.modules.iter_mut().find(active);
        let state = match other {
            Some(other) if takes_over => {
                other.become_state(BizState::Deactivated);
                BizState::Activated
            }
            Some(_) => BizState::Deactivated,
            None => BizState::Activated,
        };
        if let Some(module) = self.get_mut(name, version) {
            module.become_state(state);
        }
    }

    /// Forgets a module.
    pub(crate) fn unregister(&mut self, name: &str, version: &str) -> Option<Module> {
        let at = self
            .modules
            .iter()
            .position(|module| module.name == name && module.version == version)?;
        self.leaked += METASPACE_LEAK;
        Some(self.modules.remove(at))
    }

    /// Makes a version the active one. Err: its state forbids it.
    pub(crate) fn switch(&mut self, name: &str, version: &str) -> Option<Result<bool, BizState>> {
        let state = self.get(name, version)?.state;
        if !matches!(state, BizState::Activated | BizState::Deactivated) {
            return Some(Err(state));
        }
        for module in self.modules.iter_mut().filter(|module| module.name == name) {
            match (module.version == version, module.state) {
                (true, BizState::Deactivated) => module.become_state(BizState::Activated),
                (false, BizState::Activated) => module.become_state(BizState::Deactivated),
                _ => {}
            }
        }
        Some(Ok(state == BizState::Deactivated))
    }

    pub(crate) fn metaspace_used(&self) -> u64 {
        let modules: u64 = self
            .modules
            .iter()
            .map(|module| module.behaviour.metaspace_bytes)
            .sum();
        METASPACE_OF_THE_BASE + modules + self.leaked
    }

    /// Takes the lock of an identity, or tells who holds it.
    pub(crate) fn lock(&mut self, identity: &str, command: Command) -> Result<(), Command> {
        match self.locks.get(identity) {
            Some(holder) => Err(*holder),
            None => {
                self.locks.insert(identity.to_owned(), command);
                Ok(())
            }
        }
    }

    /// Releases a lock, whoever took it: arklet does not look either.
    pub(crate) fn unlock(&mut self, identity: &str) {
        self.locks.remove(identity);
    }

    /// Makes a record. False: the id was used.
    pub(crate) fn begin_record(&mut self, id: &str, meta: Value, stuck: Option<StuckAt>) -> bool {
        if self.records.contains_key(id) {
            return false;
        }
        let record = Record {
            meta,
            thread: None,
            status: "INITIALIZED",
            message: None,
            throwable: None,
            start: now_ms(),
            end: 0,
            stuck,
        };
        self.records.insert(id.to_owned(), record);
        true
    }

    /// A thread took the record's command.
    pub(crate) fn run_record(&mut self, id: &str) {
        self.threads += 1;
        if let Some(record) = self.records.get_mut(id) {
            record.thread = Some(self.threads);
            if record.stuck != Some(StuckAt::Initialized) {
                record.status = "EXECUTING";
            }
        }
    }

    /// The record's command was refused by a lock: arklet leaves the status.
    pub(crate) fn refuse_record(&mut self, id: &str, message: &str) {
        self.threads += 1;
        if let Some(record) = self.records.get_mut(id) {
            record.thread = Some(self.threads);
            record.message = Some(message.to_owned());
            record.end = now_ms();
        }
    }

    /// The record's command is over.
    pub(crate) fn end_record(&mut self, id: &str, failure: Option<(String, Option<&Throwable>)>) {
        let Some(record) = self
            .records
            .get_mut(id)
            .filter(|record| record.stuck.is_none())
        else {
            return;
        };
        record.status = if failure.is_some() {
            "FAILED"
        } else {
            "SUCCEEDED"
        };
        if let Some((message, thrown)) = failure {
            record.message = Some(message);
            record.throwable = thrown.map(Throwable::to_json);
        }
        record.end = now_ms();
    }

    /// A record as arklet writes it.
    pub(crate) fn record_json(&self, id: &str) -> Option<Value> {
        let record = self.records.get(id)?;
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        put("arkBizMeta", record.meta.clone());
        put("requestId", json!(id));
        put("status", json!(record.status));
        put("startTime", json!(record.start));
        put("startTimestamp", json!(record.start));
        put("endTimestamp", json!(record.end));
        put(
            "elapsedTime",
            json!(record.end.saturating_sub(record.start)),
        );
        if record.end > 0 {
            put("endTime", json!(record.end));
        }
        if let Some(thread) = record.thread {
            put(
                "threadName",
                json!(format!("ARKLET-ark-biz-ops-0-T{thread}")),
            );
        }
        if let Some(message) = &record.message {
            put("message", json!(message));
        }
        if let Some(throwable) = &record.throwable {
            put("throwable", throwable.clone());
        }
        Some(Value::Object(fields))
    }
}
