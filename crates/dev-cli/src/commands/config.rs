use std::process::ExitCode;

use clap::Subcommand;
use dev_env::project::config_report::{self, Shown};

use crate::context::Context;

/// Show, explain or check the settings
///
/// A setting has the first value of these sources: the environment, .env, backend/.env, the default.
/// An empty value counts as not set.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev config show
  cargo dev config explain API_PORT
  cargo dev config check")]
pub(crate) enum Config {
    /// Print the value and the source of every setting; secrets are masked
    #[command(after_help = "Examples:\n  cargo dev config show\n  cargo dev config show --json")]
    Show {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the meaning, the type, the default and the current value of a setting
    #[command(after_help = "Examples:\n  cargo dev config explain API_PORT")]
    Explain {
        /// Explain this setting, for example API_PORT
        name: String,
    },
    /// Report every problem of the settings at once
    #[command(after_help = "Examples:\n  cargo dev config check")]
    Check,
}

impl Config {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show { json } => show(context, json).await,
            Self::Explain { name } => explain(context, &name).await,
            Self::Check => check(context).await,
        }
    }
}

async fn show(context: &Context, json: bool) -> anyhow::Result<ExitCode> {
    let settings = config_report::all(&context.environment().await?.configuration);
    if json {
        context.printer.json(&settings)?;
        return Ok(ExitCode::SUCCESS);
    }
    for setting in settings {
        let value = setting.value.as_deref().unwrap_or("-");
        context.printer.data(&format!(
            "{:28} {value:36} {}",
            setting.name,
            origin(&setting)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn explain(context: &Context, name: &str) -> anyhow::Result<ExitCode> {
    let setting = config_report::explain(&context.environment().await?.configuration, name)?;
    let value = setting.shown.value.as_deref().unwrap_or("not set");
    context
        .printer
        .data(&format!("{}\n  {}", setting.shown.name, setting.meaning))?;
    context
        .printer
        .data(&format!("  takes    {}", setting.takes))?;
    context
        .printer
        .data(&format!("  default  {}", setting.default.unwrap_or("none")))?;
    context.printer.data(&format!(
        "  now      {value} (from {})",
        origin(&setting.shown)
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn check(context: &Context) -> anyhow::Result<ExitCode> {
    let configuration = context.environment().await?.configuration;
    for (name, origin) in configuration.undeclared() {
        context.printer.note(&format!(
            "{name} ({origin}) is not a setting of this project"
        ));
    }
    let problems = configuration.problems();
    if problems.0.is_empty() {
        context.printer.data("the settings are valid")?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(dev_env::Error::from(problems).into())
}

fn origin(setting: &Shown) -> String {
    setting
        .place
        .clone()
        .unwrap_or_else(|| setting.origin.to_owned())
}
