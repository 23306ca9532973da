//! What every verb has at hand.

use std::fmt;
use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use dev_env::engines::{Engine, Kind};
use dev_env::verbs::external::FirstUse;
use dev_env::{Checkout, Environment, Error};
use process::shutdown::Shutdown;

use crate::printer::{Lines, Printer};

/// Longer work is reported.
const LONG: Duration = Duration::from_secs(1);

pub(crate) struct Context {
    pub(crate) printer: Printer,
    /// The engine that was asked for.
    pub(crate) engine: Option<Kind>,
    /// Asked by Ctrl-C and the like.
    pub(crate) stop: Shutdown,
}

impl Context {
    /// The checkout that this was typed in.
    pub(crate) fn checkout(&self) -> Result<Checkout, Error> {
        Checkout::find(Path::new("."))
    }

    /// Returns the checkout with its settings. Waits for a settings file that is a pipe.
    pub(crate) async fn environment(&self) -> anyhow::Result<Environment> {
        let mut read =
            tokio::task::spawn_blocking(|| Environment::find(Path::new("."), std::env::vars_os()));
        loop {
            tokio::select! {
                read = &mut read => return Ok(read??),
                () = self.stop.requested() => return Err(Interrupted.into()),
                () = tokio::time::sleep(LONG) => self.printer.events(Lines::Build).phase("waiting for a settings file that is a pipe"),
            }
        }
    }

    /// The engine of the checkout.
    pub(crate) async fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::of(self.environment().await?, self.engine)?)
    }

    /// The same to stop what runs: a settings file that cannot be read must not keep it running.
    pub(crate) async fn engine_to_stop(&self) -> anyhow::Result<Engine> {
        match self.engine().await {
            Err(error) if error.downcast_ref().is_some_and(Error::is_of_the_settings) => Ok(
                Engine::of(Environment::without_settings(Path::new("."))?, self.engine)?,
            ),
            engine => engine,
        }
    }

    /// Returns the engine of a verb that changes the database. An external database is reported, and its first use asks for confirmation
    /// unless `yes` is set.
    pub(crate) async fn engine_to_change(&self, verb: &str, yes: bool) -> anyhow::Result<Engine> {
        let engine = self.engine().await?;
        let Some(first_use) = self
            .or_stop(FirstUse::of(&engine, &self.printer.events(Lines::Build)))
            .await?
        else {
            return Ok(engine);
        };
        if yes {
            self.printer.note(&first_use.to_string());
        } else if !self.is_agreed(&format!("{first_use}\nuse it?")).await? {
            return Err(first_use.refuse(verb).into());
        }
        self.or_stop(first_use.agree(&self.printer.events(Lines::Build)))
            .await?;
        Ok(engine)
    }

    /// Returns the engine of a verb that reads the database. An external database is reported before its first use.
    pub(crate) async fn engine_to_read(&self) -> anyhow::Result<Engine> {
        let engine = self.engine().await?;
        let first_use = self
            .or_stop(FirstUse::of(&engine, &self.printer.events(Lines::Build)))
            .await?;
        first_use
            .iter()
            .for_each(|first_use| self.printer.note(&first_use.to_string()));
        Ok(engine)
    }

    /// Asks for confirmation if there is a terminal.
    pub(crate) async fn is_agreed(&self, question: &str) -> anyhow::Result<bool> {
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Ok(false);
        }
        self.printer.finish();
        eprint!("{question} [y/N] ");
        let answer = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose());
        let answer = self.or_stop(async { Ok(answer.await) }).await??;
        Ok(answer?.is_some_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes")))
    }

    /// Does `work` until Ctrl-C. What is interrupted is dropped, and ends what it started.
    pub(crate) async fn or_stop<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => Ok(done?),
            () = self.stop.requested() => Err(Interrupted.into()),
        }
    }
}

/// Ctrl-C: nothing more is to be said.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
