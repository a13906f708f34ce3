//! The command line as a whole: which commands there are.
//!
//! In: nothing. Out: [`Cli`], and its [`command`] for completions and docs.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    approve, audit, base, bases, bus, can, completions, config, dead, deploy, events, history,
    init, line, logs, module, modules, plan, pushes, report, rollback, run, runs, show, slim,
    status, token, watch, why,
};
use crate::exit::Exit;
use crate::up;

/// Ferry carries modules from a git push to running bases.
#[derive(Debug, Parser)]
#[command(
    name = "ferry",
    version,
    after_help = Exit::table(),
    after_long_help = format!(
        "First steps:\n  \
         ferry init            write ferry.toml and an admin token\n  \
         ferry up              start the bus and the services here\n  \
         ferry status          see what is live where\n\n{}",
        Exit::table()
    ),
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Write a first ferry.toml, with an admin token
    Init(init::Args),
    /// Start nats-server and the six services here, and keep them running
    Up(up::Args),
    /// Show what needs attention, then what is live where
    Status(status::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// Show one run: why it is where it is
    Show(show::Args),
    /// Tell the story of a run, a base or a module: what went wrong first, who did what and why
    Why(why::Args),
    /// List what was live of a module where and when
    History(history::Args),
    /// Write out the acts, decisions and outcomes that are kept
    #[command(subcommand)]
    Audit(audit::Task),
    /// Follow one run live; ends with its outcome
    Watch(watch::Args),
    /// Print a run's build log
    Logs(logs::Args),
    /// Show what a run's slimming left out and kept, and the proof that it links
    Report(report::Args),
    /// Run a commit whose hook was missed, or again
    Run(run::Args),
    /// Roll out a jar that was built elsewhere
    Deploy(deploy::Args),
    /// Show what would be done with a module, and do nothing
    Plan(plan::Args),
    /// Go back to a verified version
    Rollback(rollback::Args),
    /// Say yes to a rollout that waits for approval
    Approve(approve::ApproveArgs),
    /// Let a rollout go on without what it waits for
    Promote(approve::PromoteArgs),
    /// Let no wave begin: of a run, a module, an environment, everything
    Pause(line::PauseArgs),
    /// Lift a pause
    Resume(line::ResumeArgs),
    /// Stop what is being rolled out, and take it back
    Abort(line::AbortArgs),
    /// Tell whether a token may do something, and by which grant
    Can(can::Args),
    /// List the bases and what they carry
    Bases(bases::Args),
    /// List the modules and what is live of them
    Modules(modules::Args),
    /// Check what a module sets for itself
    #[command(subcommand)]
    Module(module::Task),
    /// Look at what a webhook delivered
    #[command(subcommand)]
    Pushes(pushes::Task),
    /// Look at messages that could not be handled; replay or drop them
    #[command(subcommand)]
    Dead(dead::Task),
    /// Print events, past or as they happen
    Events(events::Args),
    /// Check, apply or show the configuration
    #[command(subcommand)]
    Config(config::Task),
    /// Make API tokens
    #[command(subcommand)]
    Token(token::Task),
    /// Prepare a bus that `ferry up` does not start
    #[command(subcommand)]
    Bus(bus::Task),
    /// Leave out of a module what its base has
    Slim(slim::Args),
    /// Have a base left alone or give it back; look at a base's jar
    #[command(subcommand)]
    Base(base::Task),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// The command line, for completions and docs.
pub fn command() -> clap::Command {
    Cli::command()
}
