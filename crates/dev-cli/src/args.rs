//! What can be typed.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands;
use crate::context::Context;
use crate::engine_name::EngineName;

const GLOBAL: &str = "Global options";

/// Run the development environment: PostgreSQL, the API, logs and tests
///
/// Every command acts on the checkout that contains the current folder.
/// Two checkouts can run at the same time.
#[derive(Debug, Parser)]
#[command(
    name = "cargo dev",
    bin_name = "cargo dev",
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  cargo dev up            start everything; Ctrl-C stops it
  cargo dev status        show what runs
  cargo dev test          run the tests
  cargo dev help migrate  explain one command"
)]
pub(crate) struct Args {
    /// Print only data, warnings and errors
    #[arg(long, short, global = true, help_heading = GLOBAL, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print each step and the log lines of the services
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(crate) verbose: bool,
    /// Use this engine [default: DEV_ENGINE, else the engine that ran last in this checkout, else native]
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineName>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(commands::up::Up),
    Down(commands::down::Down),
    Stop(commands::stop::Stop),
    Restart(commands::restart::Restart),
    Status(commands::status::Status),
    Logs(commands::logs::Logs),
    Test(commands::test::Test),
    Check(commands::check::Check),
    #[command(subcommand)]
    Migrate(commands::migrate::Migrate),
    #[command(subcommand)]
    Db(commands::db::Db),
    Backup(commands::backup::Backup),
    Restore(commands::restore::Restore),
    #[command(subcommand)]
    Engine(commands::engine::Engine),
    #[command(subcommand)]
    Config(commands::config::Config),
    #[command(subcommand, hide = true)]
    Container(commands::container::Container),
    Bench(commands::bench::Bench),
    Completions(commands::completions::Completions),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(verb) => verb.run(context).await,
            Self::Down(verb) => verb.run(context).await,
            Self::Stop(verb) => verb.run(context).await,
            Self::Restart(verb) => verb.run(context).await,
            Self::Status(verb) => verb.run(context).await,
            Self::Logs(verb) => verb.run(context).await,
            Self::Test(verb) => verb.run(context).await,
            Self::Check(verb) => verb.run(context).await,
            Self::Migrate(verb) => verb.run(context).await,
            Self::Db(verb) => verb.run(context).await,
            Self::Backup(verb) => verb.run(context).await,
            Self::Restore(verb) => verb.run(context).await,
            Self::Engine(verb) => verb.run(context).await,
            Self::Config(verb) => verb.run(context).await,
            Self::Container(verb) => verb.run(context).await,
            Self::Bench(verb) => verb.run(context).await,
            Self::Completions(verb) => verb.run(&mut Args::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        let about = command.get_about().map(ToString::to_string);
        let about = about.unwrap_or_else(|| panic!("{path} has no help text"));
        assert!(about.len() <= 80, "{path}: longer than a line: {about}");
        let verb = about.split(' ').next().unwrap_or_default();
        assert!(
            verb == "Pass" || !verb.ends_with('s'),
            "{path}: not an imperative: {about}"
        );
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{path}: {} has no help text",
                argument.get_id()
            );
        }
        for subcommand in command.get_subcommands() {
            check(subcommand, &path);
        }
    }

    #[test]
    fn every_command_and_every_option_has_a_help_text() {
        check(&Args::command(), "");
    }

    /// Calls `visit` with each verb that is listed in the help, and the words with which it is typed.
    fn walk(
        command: &mut clap::Command,
        words: &str,
        visit: &mut impl FnMut(&mut clap::Command, &str),
    ) {
        visit(command, words);
        for verb in command.get_subcommands_mut() {
            if !verb.is_hide_set() && verb.get_name() != "help" {
                let words = format!("{words} {}", verb.get_name());
                walk(verb, &words, visit);
            }
        }
    }

    #[test]
    fn each_verb_has_an_example() {
        let mut command = Args::command();
        command.build();
        let mut verbs = 0;
        walk(&mut command, "cargo dev", &mut |command, words| {
            verbs += 1;
            let help = command.render_long_help().to_string();
            let (_, examples) = help
                .split_once("Examples:")
                .unwrap_or_else(|| panic!("no example: {help}"));
            assert!(examples.contains(words), "no example of {words}: {help}");
            assert!(help.contains(&format!("Usage: {words}")), "{help}");
        });
        assert!(verbs >= 28, "{verbs} verbs");
    }

    #[test]
    fn wrong_usage_is_refused_with_status_2_and_a_pointer_to_the_help() {
        for wrong in [
            &["nonsense"][..],
            &["up", "--nonsense"],
            &["restart", "cache"],
            &["migrate", "down", "0"],
            &["completions", "tcsh"],
            &[],
        ] {
            let error = Args::try_parse_from([&["cargo dev"], wrong].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
            assert!(
                error.use_stderr() && error.to_string().contains("--help"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
