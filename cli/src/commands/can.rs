//! `ferry can ACTION MODULE ENV`. In: what somebody wants to do. Out: whether, and by which grant.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ferry_api::{Action, CanQuery};

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry can`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 for yes and 1 for no.\n\nExamples:\n  ferry can approve hello prod\n  ferry can rollback hello prod --as ci\n  ferry can run hello prod --json | jq .missing_in"
)]
pub struct Args {
    /// What to do
    #[arg(value_parser = PossibleValuesParser::new(Action::ALL.map(Action::as_str)).try_map(|it| it.parse::<Action>()))]
    action: Action,
    /// To which module
    module: String,
    /// In which environment
    #[arg(value_name = "ENV")]
    environment: String,
    /// Ask for another token, by its name; takes the role admin there
    #[arg(long = "as", value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = CanQuery {
        action: args.action,
        module: args.module,
        environment: args.environment,
        token: args.token,
    };
    let answer = args.gateway.client()?.can(&query).await?;
    Output::new(args.json.json).print(&answer, |paint| screen::can(&answer, paint))?;
    Ok(match answer.allowed {
        true => Exit::Success,
        false => Exit::Failed,
    })
}
