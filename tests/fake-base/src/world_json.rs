//! A base's state as arklet writes it. Goes in: the world. Comes out: the JSON
//! of `/queryAllBiz`, `/health` and the reply to an install, by dialect.

use ferry_ark::BizState;
use serde_json::{Value, json};

use crate::world::{Dialect, Module, World};

impl World {
    pub(crate) fn state_word(&self, state: BizState) -> String {
        match self.dialect {
            Dialect::V2_1_3 => state.as_str().to_ascii_uppercase(),
            Dialect::V2_1_6 => state.as_str().to_owned(),
        }
    }

    /// A module as `/queryAllBiz` lists it.
    pub(crate) fn biz_json(&self, module: &Module) -> Value {
        json!({
            "bizName": module.name,
            "bizVersion": module.version,
            "bizState": self.state_word(module.state),
            "mainClass": module.main_class,
            "webContextPath": module.web_context_path.as_deref().unwrap_or("/"),
            "bizStateRecords": vec![json!({}); module.changes],
        })
    }

    /// A module as the reply to its install has it.
    pub(crate) fn installed_json(&self, module: &Module) -> Value {
        let mut fields = self.biz_json(module);
        let more = json!({
            "identity": module.identity(),
            "priority": module.priority,
            "declaredMode": module.declared_mode,
            "attributes": {},
        });
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        fields
    }

    /// A module, or the base itself, as `/health` lists it.
    pub(crate) fn health_json(&self, module: Option<&Module>) -> Value {
        let (name, version, state, path) = match module {
            None => (
                self.base_name.as_str(),
                crate::BASE_VERSION,
                BizState::Activated,
                None,
            ),
            Some(module) => (
                module.name.as_str(),
                module.version.as_str(),
                module.state,
                module.web_context_path.as_deref(),
            ),
        };
        json!({"bizName": name, "bizVersion": version, "bizState": self.state_word(state),
               "webContextPath": path.unwrap_or("/")})
    }

    /// The JVM's part of `/health`.
    pub(crate) fn jvm_json(&self) -> Value {
        let mut jvm = json!({
            "java version": "17.0.15",
            "java home": "/usr/lib/jvm/java-17",
            "max heap memory(M)": 512.0,
            "used heap memory(M)": 134.769_416_809,
            "committed heap memory(M)": 365.5,
            "loaded class count": 12198 + 400 * self.modules().len(),
        });
        if self.dialect == Dialect::V2_1_6 {
            // A real base commits whole chunks of 64 KiB, and a few ahead.
            let committed = (self.metaspace_used() >> 16 << 16) + (9 << 16);
            jvm["java used metaspace"] = json!(self.metaspace_used());
            jvm["java committed metaspace"] = json!(
                self.metaspace_max
                    .map_or(committed, |max| committed.min(max))
            );
            jvm["java max metaspace"] = self.metaspace_max.map_or(json!(-1), |max| json!(max));
        }
        jvm
    }
}
