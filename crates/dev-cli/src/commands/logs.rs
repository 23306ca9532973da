use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use dev_env::project::logs::{self, Entry, Query};
use dev_env::report::events::Source;

use crate::context::{Context, Interrupted};
use crate::printer::prefixed;

/// How much is printed when nothing narrows it down.
const NEWEST: usize = 200;

/// Print the logs of all services, merged by time
///
/// Includes the logs of earlier runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev logs                  the newest 200 messages
  cargo dev logs api -f           new messages of the API, until Ctrl-C
  cargo dev logs --since 10m
  cargo dev logs --request 0194f0a2-7e1c-7d4e-9f5b-0c2d4a6e8f10")]
pub(crate) struct Logs {
    /// Print only the logs of these services; dev is the environment itself [default: all]
    services: Vec<Name>,
    /// Continue with new messages until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print at most the newest N messages [default: 200; all with --since or --request]
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<usize>,
    /// Print only messages since T: an age (10m, 2h, 3d) or a time (2026-11-24T09:30:00Z)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Print only messages of the request with this id (the response header x-request-id)
    #[arg(long, value_name = "ID")]
    request: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Api,
    Db,
    Dev,
}

impl Logs {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let engine = context.engine().await?;
        let since = self
            .since
            .as_deref()
            .map(|text| logs::since(text, SystemTime::now()))
            .transpose()?;
        let narrowed = since.is_some() || self.request.is_some();
        let source = |name: &Name| match name {
            Name::Api => Source::Api,
            Name::Db => Source::Db,
            Name::Dev => Source::Dev,
        };
        let query = Query {
            sources: self.services.iter().map(source).collect(),
            since,
            request: self.request,
            last: self.lines.or((!narrowed).then_some(NEWEST)),
        };
        // Before what is there is read: a line that is written meanwhile is printed twice rather than not at all.
        let follower = match self.follow {
            true => Some(context.or_stop(engine.follow(query.clone())).await?),
            false => None,
        };
        print(context, &context.or_stop(engine.logs(&query)).await?).await?;
        if let Some(mut follower) = follower {
            loop {
                let entries = context.or_stop(async { Ok(follower.next().await) }).await?;
                print(context, &entries).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is not read yet is waited for: logs can be longer than memory is for.
async fn print(context: &Context, entries: &[Entry]) -> anyhow::Result<()> {
    for entry in entries {
        context.printer.data(&prefixed(entry.from, &entry.text))?;
    }
    tokio::select! {
        printed = context.printer.printed() => Ok(printed?),
        () = context.stop.requested() => Err(Interrupted.into()),
    }
}
