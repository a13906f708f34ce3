//! The JSON schema of the configuration, made from the types.
//! In: nothing. Out: the schema, for editors and for `schemas/`.

use crate::model::{Config, ModuleFile};

/// The JSON schema of `ferry.toml`. Beyond the standard it has `x-names` (the
/// table of which a text must be a key), `x-least` and `x-most` (the range of a
/// duration or size), and `format`s of Ferry's own.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

/// The JSON schema of a module's own `.ferry.toml`.
pub fn module_file_schema() -> serde_json::Value {
    schemars::schema_for!(ModuleFile).to_value()
}
