//! Ferry's configuration: parse, merge and check a tree of TOML files.
//! In: `ferry.toml` and what it names. Out: a typed [`Config`], or every error
//! at once, each with its place and the nearest known name.

mod ask;
mod check;
mod diagnostic;
mod glob;
mod init;
mod load;
mod model;
mod schema;
mod secret;
mod template;
pub mod text;
mod tree;

pub use ask::{Scope, hash_token};
pub use check::{CloneUrlError, check_clone_url};
pub use diagnostic::{Diagnostic, Severity};
pub use glob::{glob, glob_set};
pub use init::{InitError, init_text};
pub use load::{FOLDER, Loaded, load, parse};
pub use model::{
    AtDeadline, Base, Build, Builder, Bus, Call, CallMethod, Check, Config, Drain, DrainFor,
    Environment, Forge, Gateway, Grant, Installer, Module, Pool, Probe, Reconcile, Repository,
    Role, Sandbox, Team, Token, Verifier,
};
pub use schema::schema;
pub use secret::{Secret, SecretError, SecretRef};
pub use template::{Names, TemplateError};
