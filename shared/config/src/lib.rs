//! Ferry's configuration: parse, merge and check a tree of TOML files.
//! In: `ferry.toml` and what it names. Out: a typed [`Config`], or every error
//! at once, each with its place and the nearest known name.

mod ask;
mod calendar;
mod check;
mod diagnostic;
mod glob;
mod init;
mod load;
mod model;
mod own;
mod schema;
mod secret;
mod template;
pub mod text;
mod tree;

pub use ask::{Against, Scope, hash_token};
pub use calendar::Closed;
pub use check::{CloneUrlError, check_clone_url};
pub use diagnostic::{Diagnostic, Severity};
pub use glob::{glob, glob_set};
pub use init::{InitError, init_text};
pub use load::{FOLDER, Loaded, load, parse};
pub use model::{
    AMOUNT_MAX, Amount, Approval, At, AtDeadline, Base, Build, Builder, Bus, Call, CallMethod,
    Check, Config, Drain, DrainCheck, DrainFor, Environment, Forge, Freeze, Gateway, Grant,
    Installer, MemberOf, Metric, Module, ModuleFile, ModuleKind, OwnKey, Percent, Policy, Pool,
    Probe, Reconcile, ReleaseOf, Repository, Restart, Role, Rollback, Sandbox, Slim, Snippets,
    Supersede, Team, Telemetry, Token, Verifier, Versions, Window, keys_in_words,
};
pub use own::{MODULE_FILE, MODULE_FILE_MAX, ModuleFileError, Refusal, module_file};
pub use schema::{module_file_schema, schema};
pub use secret::{Secret, SecretError, SecretRef};
pub use template::{Names, TemplateError};
