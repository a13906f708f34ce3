//! `ferry why RUN|BASE|MODULE`. In: a name. Out: how it stands, what everything followed from, what to do, the story.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use clap::ValueEnum;
use ferry_api::{About, WhyQuery};
use ferry_events::Timestamp;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// Arguments of `ferry why`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry why 1a2b3c4d                a run: what went wrong first, which bases are back, what to do\n  ferry why prod-3 --since 7d       a base\n  ferry why hello --json | jq .story"
)]
pub struct Args {
    /// A run's id or at least four of its first digits, a base, or a module
    name: String,
    /// What it is, where its name could be several
    #[arg(long = "as", value_name = "WHAT")]
    about: Option<What>,
    /// Of a base or a module: since when; a time ago, a day, or a moment
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = Since::parse)]
    since: Since,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// What a name is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// A run.
    Run,
    /// A base.
    Base,
    /// A module.
    Module,
}

/// A moment, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(TimeDelta),
    /// Then.
    At(Timestamp),
}

impl Since {
    /// `7d`, `2026-03-04`, `2026-03-04T05:06:07Z`.
    ///
    /// # Errors
    /// What it may be, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            let ago = TimeDelta::from_std(ago).map_err(|error| error.to_string())?;
            return Ok(Self::Ago(ago));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::At(day.and_time(NaiveTime::MIN).and_utc()));
        }
        DateTime::parse_from_rfc3339(text)
            .map(|at| Self::At(at.to_utc()))
            .map_err(|_| {
                "a time ago such as 7d, a day such as 2026-03-04 (UTC), or a moment such as 2026-03-04T05:06:07Z".to_owned()
            })
    }

    /// The moment.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now.checked_sub_signed(ago).unwrap_or(Timestamp::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = WhyQuery {
        about: args.about.map(|what| match what {
            What::Run => About::Run,
            What::Base => About::Base,
            What::Module => About::Module,
        }),
        since: Some(args.since.moment(now())),
    };
    let why = args.gateway.client()?.why(&args.name, &query).await?;
    Output::new(args.json.json).print(&why, |paint| screen::why(&why, paint))?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_ago_a_day_or_a_moment() {
        assert_eq!(Since::parse("7d"), Ok(Since::Ago(TimeDelta::days(7))));
        let day = "2026-03-04T00:00:00Z".parse().unwrap();
        assert_eq!(Since::parse("2026-03-04"), Ok(Since::At(day)));
        assert_eq!(
            Since::parse("2026-03-04T01:00:00+01:00"),
            Ok(Since::At(day))
        );
        assert!(Since::parse("yesterday").is_err());
    }
}
