//! Java exceptions, as they look from outside. Goes in: class, message,
//! cause. Comes out: the stack trace that arklet puts into a reply, and the
//! JSON that it puts into a process record.

use serde_json::{Map, Value, json};

/// A thrown exception with its causes.
#[derive(Debug, Clone)]
pub(crate) struct Throwable {
    class: String,
    message: Option<String>,
    cause: Option<Box<Throwable>>,
}

impl Throwable {
    pub(crate) fn new(class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            message: Some(message.into()),
            cause: None,
        }
    }

    /// Takes `class: message` apart.
    pub(crate) fn parse(line: &str) -> Self {
        match line.split_once(": ") {
            Some((class, message)) => Self::new(class, message),
            None => Self {
                class: line.to_owned(),
                message: None,
                cause: None,
            },
        }
    }

    /// Wrapped as `new X(cause)` does it: the message is the cause in words.
    pub(crate) fn wrapped(self, class: &str) -> Self {
        Self {
            class: class.to_owned(),
            message: Some(self.to_string()),
            cause: Some(Box::new(self)),
        }
    }

    /// Wrapped with a message of its own, or none.
    pub(crate) fn below(self, class: &str, message: Option<&str>) -> Self {
        Self {
            class: class.to_owned(),
            message: message.map(str::to_owned),
            cause: Some(Box::new(self)),
        }
    }

    /// `getMessage()`.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or("null")
    }

    /// The deepest cause in words.
    pub(crate) fn root(&self) -> String {
        self.cause
            .as_ref()
            .map_or_else(|| self.to_string(), |cause| cause.root())
    }

    /// As `printStackTrace` writes it.
    pub(crate) fn stack_trace(&self) -> String {
        let mut text = format!("{self}\n\tat {FRAME}\n");
        let mut cause = &self.cause;
        while let Some(next) = cause {
            text.push_str(&format!("Caused by: {next}\n\tat {FRAME}\n\t... 35 more\n"));
            cause = &next.cause;
        }
        text
    }

    /// As fastjson writes it into a process record.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("@type".to_owned(), json!(self.class));
        if let Some(cause) = &self.cause {
            fields.insert("cause".to_owned(), cause.to_json());
        }
        if let Some(message) = &self.message {
            fields.insert("localizedMessage".to_owned(), json!(message));
            fields.insert("message".to_owned(), json!(message));
        }
        fields.insert(
            "stackTrace".to_owned(),
            json!([{"className": "ferry.fake.Base", "fileName": "Base.java", "lineNumber": 1,
                    "methodName": "run", "nativeMethod": false}]),
        );
        Value::Object(fields)
    }
}

const FRAME: &str = "ferry.fake.Base.run(Base.java:1)";

impl std::fmt::Display for Throwable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.class),
            None => f.write_str(&self.class),
        }
    }
}

/// What arklet wraps every failure of a command in.
pub(crate) const ARKLET_RUNTIME_EXCEPTION: &str =
    "com.alipay.sofa.koupleless.arklet.core.common.exception.ArkletRuntimeException";
/// What arklet throws at a request that is not valid.
pub(crate) const COMMAND_VALIDATION_EXCEPTION: &str =
    "com.alipay.sofa.koupleless.arklet.core.common.exception.CommandValidationException";
