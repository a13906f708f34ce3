//! The commands, one file each; here only which one runs.
//!
//! In: the parsed command line. Out: an [`Exit`], or an error for the edge.

pub mod approve;
pub mod audit;
pub mod base;
pub mod bases;
pub mod bus;
pub mod can;
pub mod completions;
pub mod config;
pub mod dead;
pub mod deploy;
pub mod events;
pub mod history;
pub mod init;
pub mod line;
pub mod logs;
pub mod module;
pub mod modules;
pub mod plan;
pub mod pushes;
pub mod report;
pub mod rollback;
pub mod run;
pub mod runs;
pub mod show;
pub mod slim;
pub mod status;
pub mod token;
pub mod watch;
pub mod why;

mod asked;
mod follow;

use anyhow::Result;

use crate::args::{Cli, Task};
use crate::exit::Exit;
use crate::up;

/// Runs one command.
pub async fn run(cli: Cli) -> Result<Exit> {
    match cli.task {
        Task::Init(args) => init::run(&args),
        Task::Up(args) => up::run(args).await,
        Task::Status(args) => status::run(args).await,
        Task::Runs(args) => runs::run(args).await,
        Task::Show(args) => show::run(args).await,
        Task::Why(args) => why::run(args).await,
        Task::History(args) => history::run(args).await,
        Task::Audit(task) => audit::run(task).await,
        Task::Watch(args) => watch::run(args).await,
        Task::Logs(args) => logs::run(args).await,
        Task::Report(args) => report::run(args).await,
        Task::Run(args) => run::run(args).await,
        Task::Deploy(args) => deploy::run(args).await,
        Task::Rollback(args) => rollback::run(args).await,
        Task::Approve(args) => approve::approve(args).await,
        Task::Promote(args) => approve::promote(args).await,
        Task::Pause(args) => line::pause(args).await,
        Task::Resume(args) => line::resume(args).await,
        Task::Abort(args) => line::abort(args).await,
        Task::Can(args) => can::run(args).await,
        Task::Bases(args) => bases::run(args).await,
        Task::Plan(args) => plan::run(args).await,
        Task::Module(task) => module::run(&task),
        Task::Modules(args) => modules::run(args).await,
        Task::Pushes(task) => pushes::run(task).await,
        Task::Dead(task) => dead::run(task).await,
        Task::Events(args) => events::run(args).await,
        Task::Config(task) => config::run(task).await,
        Task::Token(task) => token::run(task),
        Task::Bus(task) => bus::run(task).await,
        Task::Slim(args) => slim::run(args),
        Task::Base(task) => base::run(task).await,
        Task::Completions(args) => completions::run(&args),
    }
}

/// `--json`, of commands that print data.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
