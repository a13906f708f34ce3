//! What arklet answers. Goes in: the bytes of a reply. Comes out: [`Reply`],
//! and typed views of its `data`, each `None` where `data` is something else.

use std::fmt;

use serde_json::{Map, Value};

use super::record::ProcessRecord;
use crate::BizState;

/// Why bytes are no reply of arklet.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// Not JSON: something else listens there, or the reply was cut off.
    #[error("the reply is not JSON: is this really arklet's address?")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but no object with a `code`.
    #[error("the reply is JSON without a code: is this really arklet's address?")]
    NoCode,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A word that this build of Ferry does not know.
            Other(String),
        }

        impl $name {
            /// Reads arklet's word; never fails.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                $(if word.eq_ignore_ascii_case($word) { return Self::$variant; })*
                Self::Other(word.to_owned())
            }

            /// The word as arklet writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// The outer `code`: how the command went.
    ReplyCode {
        /// Done; for an asynchronous command: taken.
        Success = "SUCCESS",
        /// Refused: a repeat, not found, a wrong state, a lock, a used request id.
        Failed = "FAILED",
        /// The base does not have this command.
        CmdNotFound = "CMD_NOT_FOUND",
        /// Invalid, not downloaded or not started; the stack tells why.
        CmdProcessInternalError = "CMD_PROCESS_INTERNAL_ERROR",
    }
}

words! {
    /// The inner `code` of an install, uninstall or switch.
    BizCode {
        /// Done.
        Success = "SUCCESS",
        /// Not done.
        Failed = "FAILED",
        /// This name and version is installed already; nothing was replaced.
        RepeatBiz = "REPEAT_BIZ",
        /// No such name and version.
        NotFoundBiz = "NOT_FOUND_BIZ",
        /// Its state forbids it.
        IllegalStateBiz = "ILLEGAL_STATE_BIZ",
    }
}

/// A reply of arklet.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// How the command went.
    pub code: ReplyCode,
    /// In words.
    pub message: Option<String>,
    /// The command's own answer; null where absent.
    pub data: Value,
    /// The Java stack trace of a failure.
    pub error_stack_trace: Option<String>,
    /// Which base answered; newer versions only.
    pub base_identity: Option<String>,
}

impl Reply {
    /// Reads the body of a reply.
    ///
    /// # Errors
    /// [`ReplyError`], where it is no reply of arklet at all.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let value: Value = serde_json::from_slice(body).map_err(ReplyError::NotJson)?;
        let Value::Object(mut fields) = value else {
            return Err(ReplyError::NoCode);
        };
        let code = text(&fields, "code").ok_or(ReplyError::NoCode)?;
        Ok(Self {
            code: ReplyCode::parse(&code),
            message: text(&fields, "message"),
            error_stack_trace: text(&fields, "errorStackTrace"),
            base_identity: text(&fields, "baseIdentity").or_else(|| text(&fields, "baseID")),
            data: fields.remove("data").unwrap_or_default(),
        })
    }

    /// Whether the command was done, or when asynchronous: taken.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == ReplyCode::Success
    }

    /// Whether an asynchronous command was refused because its request id was
    /// used before. Then `/queryBizOps` tells how that went.
    #[must_use]
    pub fn is_used_request_id(&self) -> bool {
        self.code == ReplyCode::Failed
            && self
                .message
                .as_deref()
                .is_some_and(|message| message.contains("has been executed"))
    }

    /// Whether `/queryBizOps` knows nothing of the id: it never came here, or
    /// the base was restarted since.
    #[must_use]
    pub fn is_unknown_request_id(&self) -> bool {
        self.code == ReplyCode::Failed
            && self
                .message
                .as_deref()
                .is_some_and(|message| message.contains("Not found the corresponding ops record"))
    }

    /// Why it failed, in one line: the cause in the stack, else the inner
    /// message, else the outer one. None for a success.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.is_success() {
            return None;
        }
        let stack = self
            .error_stack_trace
            .as_deref()
            .and_then(super::root_cause);
        let inner = || self.biz().and_then(|biz| biz.message);
        Some(
            stack
                .or_else(inner)
                .or_else(|| self.message.clone())
                .unwrap_or_else(|| format!("arklet answered {} without a reason", self.code)),
        )
    }

    /// The answer to a synchronous install, uninstall or switch.
    #[must_use]
    pub fn biz(&self) -> Option<BizReply> {
        let fields = self.data.as_object()?;
        Some(BizReply {
            code: BizCode::parse(&text(fields, "code")?),
            message: text(fields, "message"),
            bizs: bizs(fields.get("bizInfos")),
            elapsed_space: number(fields, "elapsedSpace"),
        })
    }

    /// The answer to an asynchronous command, and to `/queryBizOps`.
    #[must_use]
    pub fn process_record(&self) -> Option<ProcessRecord> {
        ProcessRecord::of(self.data.as_object()?)
    }

    /// The answer to `/queryAllBiz`. An entry without name or version is left out.
    #[must_use]
    pub fn bizs(&self) -> Option<Vec<BizInfo>> {
        self.data.as_array().map(|_| bizs(Some(&self.data)))
    }

    /// The answer to `/health`.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        let data = self.data.get("healthData")?.as_object()?;
        let jvm = data.get("jvm").and_then(Value::as_object);
        Some(Health {
            java_version: jvm.and_then(|jvm| text(jvm, "java version")),
            metaspace: jvm.and_then(Metaspace::of),
            master: data.get("masterBizInfo").and_then(BizHealth::of),
            bizs: data
                .get("bizListInfo")
                .and_then(Value::as_array)
                .map_or_else(Vec::new, |list| {
                    list.iter().filter_map(BizHealth::of).collect()
                }),
        })
    }

    /// The answer to `/help`.
    #[must_use]
    pub fn commands(&self) -> Option<Vec<SupportedCommand>> {
        let list = self.data.as_array()?;
        Some(
            list.iter()
                .filter_map(Value::as_object)
                .filter_map(|fields| {
                    Some(SupportedCommand {
                        id: text(fields, "id")?,
                        description: text(fields, "desc").unwrap_or_default(),
                    })
                })
                .collect(),
        )
    }
}

/// What an install, uninstall or switch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BizReply {
    /// How it went.
    pub code: BizCode,
    /// In words.
    pub message: Option<String>,
    /// The modules concerned.
    pub bizs: Vec<BizInfo>,
    /// Metaspace that an install took, in bytes; negative where a collection ran.
    pub elapsed_space: Option<i64>,
}

/// A module in a base. States are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BizInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What the base does with it.
    pub state: BizState,
    /// Its start class.
    pub main_class: Option<String>,
    /// Where it answers, as its manifest says it.
    pub web_context_path: Option<String>,
}

impl BizInfo {
    fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        Some(Self {
            name: text(fields, "bizName")?,
            version: text(fields, "bizVersion")?,
            state: state(fields),
            main_class: text(fields, "mainClass"),
            web_context_path: text(fields, "webContextPath"),
        })
    }
}

/// How a base does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// As the JVM writes it.
    pub java_version: Option<String>,
    /// Absent on 2.1.3.
    pub metaspace: Option<Metaspace>,
    /// The base's own application.
    pub master: Option<BizHealth>,
    /// All that is installed, the base's own application too.
    pub bizs: Vec<BizHealth>,
}

impl Health {
    /// The modules, without the base's own application.
    pub fn modules(&self) -> impl Iterator<Item = &BizHealth> {
        self.bizs
            .iter()
            .filter(|biz| Some(*biz) != self.master.as_ref())
    }
}

/// Memory for classes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metaspace {
    /// Holds what a collection would free, too.
    pub used: u64,
    /// Taken from the system: the figure that installs are gated on.
    pub committed: u64,
    /// None: unlimited.
    pub max: Option<u64>,
}

impl Metaspace {
    fn of(jvm: &Map<String, Value>) -> Option<Self> {
        let bytes = |key| number(jvm, key).and_then(|bytes| u64::try_from(bytes).ok());
        Some(Self {
            used: bytes("java used metaspace")?,
            committed: bytes("java committed metaspace")?,
            max: bytes("java max metaspace"),
        })
    }

    /// committed ÷ max, 0 to 1. None where metaspace is unlimited.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a share needs no more than 53 bits"
    )]
    pub fn committed_share(&self) -> Option<f64> {
        self.max
            .filter(|max| *max > 0)
            .map(|max| self.committed as f64 / max as f64)
    }
}

/// A module as `/health` tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BizHealth {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What the base does with it.
    pub state: BizState,
    /// Where it answers.
    pub web_context_path: Option<String>,
}

impl BizHealth {
    fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        Some(Self {
            name: text(fields, "bizName")?,
            version: text(fields, "bizVersion")?,
            state: state(fields),
            web_context_path: text(fields, "webContextPath"),
        })
    }
}

/// A command that a base has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SupportedCommand {
    /// Its word, such as `installBiz`.
    pub id: String,
    /// What it does.
    pub description: String,
}

fn bizs(value: Option<&Value>) -> Vec<BizInfo> {
    value
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |list| {
            list.iter().filter_map(BizInfo::of).collect()
        })
}

fn state(fields: &Map<String, Value>) -> BizState {
    text(fields, "bizState").map_or(BizState::Unknown, |word| BizState::parse(&word))
}

/// A text field; anything else counts as absent.
pub(super) fn text(fields: &Map<String, Value>, key: &str) -> Option<String> {
    fields.get(key)?.as_str().map(str::to_owned)
}

/// A whole number, also where a base writes it as text or with a fraction.
pub(super) fn number(fields: &Map<String, Value>, key: &str) -> Option<i64> {
    match fields.get(key)? {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64()?.trunc();
            #[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
            Some(whole as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
