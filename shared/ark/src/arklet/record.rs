//! How an asynchronous command went. Goes in: `data` of its reply or of
//! `/queryBizOps`. Comes out: [`ProcessRecord`], and what to make of it.
//! Source: `ProcessRecord` and `CommandServiceImpl` of arklet-core.

use std::fmt;

use serde_json::{Map, Value};

use super::reply::{number, text, words};
use super::root_cause;

words! {
    /// Where an asynchronous command stands.
    RecordStatus {
        /// Taken, waiting for a thread; or refused by a lock, see [`ProcessRecord::outcome`].
        Initialized = "INITIALIZED",
        /// Running.
        Executing = "EXECUTING",
        /// Done.
        Succeeded = "SUCCEEDED",
        /// Not done.
        Failed = "FAILED",
    }
}

/// What a base remembers of an asynchronous command, until it is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRecord {
    /// The id that it was sent with.
    pub request_id: String,
    /// Where it stands.
    pub status: RecordStatus,
    /// In words; set on a failure only.
    pub message: Option<String>,
    /// Never seen set.
    pub error_code: Option<String>,
    /// The deepest cause of the exception, in one line.
    pub cause: Option<String>,
    /// Milliseconds since 1970.
    pub start_timestamp: Option<i64>,
    /// Milliseconds since 1970; None while it runs.
    pub end_timestamp: Option<i64>,
    /// Milliseconds; None while it runs.
    pub elapsed_ms: Option<i64>,
    /// The name that was asked for.
    pub biz_name: Option<String>,
    /// The version that was asked for.
    pub biz_version: Option<String>,
    /// Arklet sets status, message and exception one after the other and the
    /// end last; before that a failure may be without its reason.
    complete: bool,
}

/// What a [`ProcessRecord`] comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Not over.
    Running,
    /// Done, says the base; look all the same.
    Succeeded,
    /// Over and not done, with the reason.
    Failed(String),
    /// Never begun, because another command held the module's lock. The
    /// record stays `INITIALIZED` for ever, and the other command has lost
    /// its lock.
    Refused(String),
}

impl ProcessRecord {
    pub(super) fn of(fields: &Map<String, Value>) -> Option<Self> {
        let over = |key| number(fields, key).filter(|value| *value > 0);
        let meta = fields.get("arkBizMeta").and_then(Value::as_object);
        let end_timestamp = over("endTimestamp");
        Some(Self {
            request_id: text(fields, "requestId")?,
            status: RecordStatus::parse(&text(fields, "status")?),
            message: text(fields, "message"),
            error_code: text(fields, "errorCode"),
            cause: fields.get("throwable").and_then(deepest),
            start_timestamp: over("startTimestamp"),
            end_timestamp,
            elapsed_ms: end_timestamp.and_then(|_| number(fields, "elapsedTime")),
            biz_name: meta.and_then(|meta| text(meta, "bizName")),
            biz_version: meta.and_then(|meta| text(meta, "bizVersion")),
            complete: end_timestamp.is_some() || !fields.contains_key("endTimestamp"),
        })
    }

    /// What to make of it.
    #[must_use]
    pub fn outcome(&self) -> RecordOutcome {
        let reason = || {
            self.cause
                .clone()
                .or_else(|| self.message.as_deref().and_then(root_cause))
                .unwrap_or_else(|| "the base gave no reason".to_owned())
        };
        match self.status {
            RecordStatus::Succeeded => RecordOutcome::Succeeded,
            RecordStatus::Failed if self.complete => RecordOutcome::Failed(reason()),
            RecordStatus::Initialized if self.end_timestamp.is_some() => {
                RecordOutcome::Refused(reason())
            }
            _ if self.end_timestamp.is_some() && self.message.is_some() => {
                RecordOutcome::Failed(reason())
            }
            _ => RecordOutcome::Running,
        }
    }
}

/// The last cause of an exception that was written as JSON.
fn deepest(throwable: &Value) -> Option<String> {
    if let Some(stack) = throwable.as_str() {
        return root_cause(stack);
    }
    let mut last = throwable.as_object()?;
    // serde_json stops at a depth of 128, so this ends. `$ref` points back at
    // an exception that was written before.
    while let Some(cause) = last.get("cause").and_then(Value::as_object)
        && !cause.contains_key("$ref")
    {
        last = cause;
    }
    let class = text(last, "@type");
    let message = text(last, "message").or_else(|| text(last, "localizedMessage"));
    let line = match (class, message) {
        (Some(class), Some(message)) => format!("{class}: {message}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    root_cause(&line)
}
